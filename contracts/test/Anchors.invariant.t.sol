// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Anchors} from "../src/Anchors.sol";
import {IAnchors} from "../src/IAnchors.sol";
import {Harness} from "./Harness.sol";
import {Reference} from "./Reference.sol";

/// @dev A gateway with one log that only grows, and someone who holds the gateway's key and tries to rewrite the past.
/// Forge calls its functions in any order, with any arguments.
contract Gateway is Harness {
    uint64 internal constant MOST_ENTRIES = 128;

    Anchors public immutable anchors = new Anchors(address(this));
    bytes32 public immutable origin;
    bytes32[] internal log;
    /// @dev The sizes at which the honest gateway anchored, in order.
    uint64[] public anchored;
    /// @dev What must stay false.
    bool public headShrank;
    bool public attackSucceeded;
    bool public refusalWithoutName;

    uint64 internal lastHead;

    constructor() {
        origin = anchors.register("edge.sejong.example/log", address(this));
    }

    modifier watchingTheHead() {
        _;
        (uint64 size,,) = anchors.head(origin);
        if (size < lastHead) headShrank = true;
        lastHead = size;
    }

    // --- the gateway -----------------------------------------------------------------------------------------------

    /// @dev Appends up to 16 entries and anchors. (Entries alone would change nothing on the chain.)
    function grow(uint8 entries, uint256 seed) external watchingTheHead {
        uint64 size = uint64(log.length);
        if (size == MOST_ENTRIES) return;
        uint64 grown = uint64(between(entries, size + 1, size + 16));
        if (grown > MOST_ENTRIES) grown = MOST_ENTRIES;
        for (uint64 i = size; i < grown; i++) {
            log.push(sha256(abi.encodePacked(bytes1(0x00), seed, i)));
        }
        bytes32[] memory proof = size == 0 ? new bytes32[](0) : Reference.proof(log, size, grown);
        anchors.anchor(origin, grown, Reference.root(log, grown), proof);
        anchored.push(grown);
    }

    function sendAgain(uint256 which, bytes32[] calldata proof) external watchingTheHead {
        uint64 size = anchored[between(which, 0, anchored.length - 1)];
        anchors.anchor(origin, size, Reference.root(log, size), proof);
    }

    // --- the attacker ----------------------------------------------------------------------------------------------

    /// @dev Rewrites one anchored entry, grows the log, and proves it as well as it can.
    function rewrite(uint256 entry, uint8 more, bool honestProof) external watchingTheHead {
        uint64 held = lastHead;
        uint64 size = held + 1 + more % 16;
        bytes32[] memory longer = longerLog(size);
        bytes32[] memory forged = longerLog(size);
        forged[between(entry, 0, held - 1)] = sha256("forged");
        attack(size, Reference.root(forged, size), Reference.proof(honestProof ? longer : forged, held, size));
    }

    /// @dev The same with a proof from any size, held or not.
    function proveFromElsewhere(uint256 entry, uint256 from, uint8 more) external watchingTheHead {
        uint64 size = lastHead + 1 + more % 16;
        bytes32[] memory forged = longerLog(size);
        forged[between(entry, 0, lastHead - 1)] = sha256("forged");
        attack(size, Reference.root(forged, size), Reference.proof(forged, between(from, 1, size - 1), size));
    }

    /// @dev Any root, and any nodes for a proof.
    function replace(uint8 more, bytes32 root, bytes32[] calldata proof) external watchingTheHead {
        attack(lastHead + 1 + more % 16, root, proof);
    }

    /// @dev A size that was anchored, with another root.
    function fork(uint256 which, bytes32 root, bytes32[] calldata proof) external watchingTheHead {
        uint64 size = anchored[between(which, 0, anchored.length - 1)];
        if (root != Reference.root(log, size)) attack(size, root, proof);
    }

    /// @dev A true beginning of the log, shorter than what is held, that was never anchored.
    function shrink(uint256 to, bool proven) external watchingTheHead {
        uint64 size = uint64(between(to, 0, lastHead - 1));
        if (anchors.rootAt(origin, size) != 0) return;
        bytes32[] memory proof = proven && size != 0 ? Reference.proof(log, size, lastHead) : new bytes32[](0);
        attack(size, size == 0 ? bytes32(0) : Reference.root(log, size), proof);
    }

    /// @dev What the gateway itself could anchor, sent by another account or for another log.
    function sendFromAbroad(address sender, bytes32 elsewhere, uint8 more) external watchingTheHead {
        uint64 size = lastHead + 1 + more % 16;
        bytes32[] memory longer = longerLog(size);
        bytes32 root = Reference.root(longer, size);
        bytes32[] memory proof = Reference.proof(longer, lastHead, size);
        if (sender != address(this)) {
            vm.prank(sender);
            attack(size, root, proof);
        }
        if (elsewhere == origin) return;
        try anchors.anchor(elsewhere, size, root, proof) {
            attackSucceeded = true;
        } catch (bytes memory why) {
            judge(why);
        }
    }

    // --- for the invariant -----------------------------------------------------------------------------------------

    function timesAnchored() external view returns (uint256) {
        return anchored.length;
    }

    function rootOfTheLog(uint64 size) external view returns (bytes32) {
        return Reference.root(log, size);
    }

    function attack(uint64 size, bytes32 root, bytes32[] memory proof) private {
        try anchors.anchor(origin, size, root, proof) {
            attackSucceeded = true;
        } catch (bytes memory why) {
            judge(why);
        }
    }

    /// @dev Every refusal has one of these names: no panic, no empty revert.
    function judge(bytes memory why) private {
        bytes4 name = bytes4(why);
        bool named = name == IAnchors.UnknownOrigin.selector || name == IAnchors.NotSender.selector
            || name == IAnchors.EmptyTree.selector || name == IAnchors.ShrunkTree.selector
            || name == IAnchors.ForkedTree.selector || name == IAnchors.ProofLength.selector
            || name == IAnchors.InconsistentTree.selector;
        if (!named) refusalWithoutName = true;
    }

    /// @dev The log with entries that it doesn't have yet.
    function longerLog(uint64 size) private view returns (bytes32[] memory longer) {
        longer = new bytes32[](size);
        for (uint256 i = 0; i < size; i++) {
            longer[i] = i < log.length ? log[i] : sha256(abi.encode(i));
        }
    }
}

contract AnchorsInvariantTest is Harness {
    Gateway internal gateway;

    function setUp() public {
        gateway = new Gateway();
        gateway.grow(4, 1);
    }

    /// @dev Forge asks for this: only the gateway is called, not the contract behind it.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(gateway);
    }

    function invariant_TheHeadNeverShrinksAndNoAttackSucceeds() public view {
        vm.assertEq(gateway.headShrank(), false, "the head shrank");
        vm.assertEq(gateway.attackSucceeded(), false, "an attack succeeded");
        vm.assertEq(gateway.refusalWithoutName(), false, "a refusal without a name");
    }

    /// @dev At the end of each sequence: every root in the history is that of one and the same log.
    function afterInvariant() external view {
        Anchors anchors = gateway.anchors();
        bytes32 origin = gateway.origin();
        uint256 last = gateway.timesAnchored() - 1;
        uint256 next = 0;
        (uint64 head,,) = anchors.head(origin);
        vm.assertEq(head, gateway.anchored(last), "the head isn't the last anchor");
        for (uint64 size = 0; size <= head; size++) {
            bool wanted = gateway.anchored(next) == size;
            vm.assertEq(anchors.rootAt(origin, size), wanted ? gateway.rootOfTheLog(size) : bytes32(0), "history");
            if (wanted) next++;
        }
        vm.assertEq(next, last + 1, "an anchor is missing");
    }
}
