// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IAnchors} from "./IAnchors.sol";
import {Rfc6962} from "./libraries/Rfc6962.sol";

/// @title Anchors: what it promises is said in IAnchors, how a proof is checked in Rfc6962
contract Anchors is IAnchors, Ownable2Step, EIP712 {
    bytes32 private constant HEAD_TYPE = keccak256("Head(bytes32 origin,uint64 size,bytes32 root)");

    /// @dev The bits of `_heads` above the time. A log that is frozen has this one set, for ever.
    uint256 private constant FROZEN = 1 << 40;

    /// @dev sender (160 bits) ‖ size (48) ‖ frozen (8) ‖ time (40), packed by hand: an anchor reads and writes this slot
    /// once each. The newest root isn't here, it is the one at `size` in `_roots`: an anchor then writes one new slot,
    /// not two.
    mapping(bytes32 origin => uint256 packed) private _heads;

    /// @dev Every root ever anchored. None is zero, none is ever changed.
    mapping(bytes32 origin => mapping(uint256 size => bytes32 root)) private _roots;

    /// @dev Every account that was ever registered: what it signed stays signed.
    mapping(bytes32 origin => mapping(address account => bool)) private _senders;

    /// @param administrator The first owner: may register logs, and nothing else.
    constructor(address administrator) Ownable(administrator) EIP712("Sejong Edge Anchors", "1") {}

    /// @inheritdoc IAnchors
    function register(string calldata name, address sender) external onlyOwner returns (bytes32 origin) {
        if (sender == address(0)) revert ZeroSender();
        origin = keccak256(bytes(name));
        uint256 packed = _heads[origin];
        if (packed & FROZEN != 0) revert Frozen(origin);
        (, uint64 size, uint64 time) = _unpack(packed);
        _heads[origin] = _pack(sender, size, time);
        _senders[origin][sender] = true;
        emit Registered(origin, sender, name);
    }

    /// @inheritdoc IAnchors
    function anchor(bytes32 origin, uint64 size, bytes32 root, bytes32[] calldata proof) external {
        uint256 packed = _heads[origin];
        (address sender, uint64 held,) = _unpack(packed);
        // First, because a call that is only simulated may well come from the zero account.
        if (sender == address(0)) revert UnknownOrigin(origin);
        if (packed & FROZEN != 0) revert Frozen(origin);
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
    function verifyEntry(bytes32 origin, uint64 size, uint64 index, bytes calldata entry, bytes32[] calldata path)
        external
        view
        returns (bytes32 root)
    {
        // Solidity reads over the bytes that fill `entry` up to a whole word, and over any at the end.
        if (keccak256(msg.data) != keccak256(abi.encodeCall(this.verifyEntry, (origin, size, index, entry, path)))) {
            revert NotCanonical();
        }
        root = _roots[origin][size];
        if (root == 0) revert NotAnchored(origin, size);
        if (index >= size) revert EntryBeyondTree(index, size);
        Rfc6962.verifyInclusion(entry, index, size, root, path);
    }

    /// @inheritdoc IAnchors
    function freeze(
        bytes32 origin,
        uint64 size,
        bytes32 rootA,
        bytes calldata signatureA,
        bytes32 rootB,
        bytes calldata signatureB
    ) external {
        if (rootA == rootB) revert NoContradiction(size);
        _freeze(origin);
        _demandSigner(origin, size, rootA, signatureA);
        _demandSigner(origin, size, rootB, signatureB);
        emit Contradiction(origin, size, rootA, rootB);
    }

    /// @inheritdoc IAnchors
    function freezeAgainstAnchor(bytes32 origin, uint64 size, bytes32 root, bytes calldata signature) external {
        bytes32 held = _roots[origin][size];
        if (held == 0 || held == root) revert NoContradiction(size);
        _freeze(origin);
        _demandSigner(origin, size, root, signature);
        emit Contradiction(origin, size, root, held);
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

    /// @inheritdoc IAnchors
    function wasSender(bytes32 origin, address account) external view returns (bool) {
        return _senders[origin][account];
    }

    /// @inheritdoc IAnchors
    function isFrozen(bytes32 origin) external view returns (bool) {
        return _heads[origin] & FROZEN != 0;
    }

    /// @inheritdoc IAnchors
    function headDigest(bytes32 origin, uint64 size, bytes32 root) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(HEAD_TYPE, origin, size, root)));
    }

    function _freeze(bytes32 origin) private {
        uint256 packed = _heads[origin];
        if (packed & FROZEN != 0) revert Frozen(origin);
        _heads[origin] = packed | FROZEN;
    }

    function _demandSigner(bytes32 origin, uint64 size, bytes32 root, bytes calldata signature) private view {
        address signer = ECDSA.recover(headDigest(origin, size, root), signature);
        if (!_senders[origin][signer]) revert NotSigner(origin, signer);
    }

    /// @dev Of a log that isn't frozen. `size` must fit 48 bits and `time` 40: `anchor` refuses larger sizes, and time
    /// gets there in 34,000 years.
    function _pack(address sender, uint64 size, uint64 time) private pure returns (uint256) {
        return uint256(uint160(sender)) << 96 | uint256(size) << 48 | time;
    }

    function _unpack(uint256 packed) private pure returns (address sender, uint64 size, uint64 time) {
        // forge-lint: disable-next-line(unsafe-typecast) cutting off the other fields is the point
        return (address(uint160(packed >> 96)), uint48(packed >> 48), uint40(packed));
    }
}
