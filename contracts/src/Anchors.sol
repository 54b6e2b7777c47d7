// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

import {IAnchors} from "./IAnchors.sol";
import {Rfc6962} from "./libraries/Rfc6962.sol";

/// @title Anchors: what it promises is said in IAnchors, how a proof is checked in Rfc6962
contract Anchors is IAnchors, Ownable2Step {
    /// @dev sender (160 bits) ‖ size (48) ‖ time (48), packed by hand: an anchor reads and writes this slot once each.
    /// The newest root isn't here, it is the one at `size` in `_roots`: an anchor then writes one new slot, not two.
    mapping(bytes32 origin => uint256 packed) private _heads;

    /// @dev Every root ever anchored. None is zero, none is ever changed.
    mapping(bytes32 origin => mapping(uint256 size => bytes32 root)) private _roots;

    /// @param administrator The first owner: may register logs, and nothing else.
    constructor(address administrator) Ownable(administrator) {}

    /// @inheritdoc IAnchors
    function register(string calldata name, address sender) external onlyOwner returns (bytes32 origin) {
        if (sender == address(0)) revert ZeroSender();
        origin = keccak256(bytes(name));
        (, uint64 size, uint64 time) = _unpack(_heads[origin]);
        _heads[origin] = _pack(sender, size, time);
        emit Registered(origin, sender, name);
    }

    /// @inheritdoc IAnchors
    function anchor(bytes32 origin, uint64 size, bytes32 root, bytes32[] calldata proof) external {
        (address sender, uint64 held,) = _unpack(_heads[origin]);
        // First, because a call that is only simulated may well come from the zero account.
        if (sender == address(0)) revert UnknownOrigin(origin);
        if (msg.sender != sender) revert NotSender(origin, msg.sender);

        mapping(uint256 size => bytes32 root) storage roots = _roots[origin];
        bytes32 known = roots[size];
        if (known != 0) {
            if (known == root) return;
            revert ForkedTree(size, known, root);
        }
        if (size < held) revert ShrunkTree(held, size);
        if (size == 0 || root == 0) revert EmptyTree();
        if (size > type(uint48).max) revert SizeTooLarge(size);

        if (held != 0) Rfc6962.verifyConsistency(held, roots[held], size, root, proof);
        else if (proof.length != 0) revert ProofLength(proof.length, 0);

        roots[size] = root;
        _heads[origin] = _pack(sender, size, uint64(block.timestamp));
        emit Anchored(origin, size, root);
    }

    /// @inheritdoc IAnchors
    function head(bytes32 origin) external view returns (uint64 size, bytes32 root, uint64 time) {
        (, size, time) = _unpack(_heads[origin]);
        root = _roots[origin][size];
    }

    /// @inheritdoc IAnchors
    function rootAt(bytes32 origin, uint64 size) external view returns (bytes32) {
        return _roots[origin][size];
    }

    /// @inheritdoc IAnchors
    function senderOf(bytes32 origin) external view returns (address sender) {
        (sender,,) = _unpack(_heads[origin]);
    }

    /// @dev `size` and `time` must fit 48 bits: `anchor` refuses larger sizes, and time gets there in 8.9 million years.
    function _pack(address sender, uint64 size, uint64 time) private pure returns (uint256) {
        return uint256(uint160(sender)) << 96 | uint256(size) << 48 | time;
    }

    function _unpack(uint256 packed) private pure returns (address sender, uint64 size, uint64 time) {
        // forge-lint: disable-next-line(unsafe-typecast) cutting off the other fields is the point
        return (address(uint160(packed >> 96)), uint48(packed >> 48), uint48(packed));
    }
}
