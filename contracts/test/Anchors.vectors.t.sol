// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";

import {Anchors} from "../src/Anchors.sol";
import {Rfc6962} from "../src/libraries/Rfc6962.sol";
import {Harness} from "./Harness.sol";

/// @dev The proof cases of transparency-dev/merkle (Apache-2.0), which lie beside the project, not in it.
contract AnchorsVectorsTest is Harness {
    string internal constant FILE = "../../shared/vectors/rfc6962/consistency.json";

    string internal constant INCLUSION = "../../shared/vectors/rfc6962/inclusion.json";

    struct Case {
        uint64 size1;
        uint64 size2;
        bytes root1;
        bytes root2;
        bytes[] proof;
        bool wantErr;
    }

    function verify(uint64 size1, bytes32 root1, uint64 size2, bytes32 root2, bytes32[] calldata proof) external view {
        Rfc6962.verifyConsistency(size1, root1, size2, root2, proof);
    }

    /// @dev The cases have leaf hashes, the library wants entries: it is asked for the walk alone.
    function walk(uint64 index, uint64 size, bytes32 leaf, bytes32[] calldata path)
        external
        view
        returns (bytes32 root, uint256 wanted)
    {
        return Rfc6962.ascend(index, size - 1, leaf, path);
    }

    function test_EveryInclusionCaseOfTransparencyDevGetsItsAnswer() public {
        string memory json = read(INCLUSION);
        string[] memory names = vm.parseJsonKeys(json, "$");
        vm.assertEq(names.length, 98);
        uint256 asked;
        for (uint256 i = 0; i < names.length; i++) {
            Case memory c = parseInclusion(json, names[i]);
            // What can't be written in the ABI, or is refused by verifyEntry before the library is asked.
            if (!fits(c) || c.size1 >= c.size2) {
                vm.assertTrue(c.wantErr, names[i]);
                continue;
            }
            asked++;
            (bytes32 r, uint256 wanted) = this.walk(c.size1, c.size2, bytes32(c.root1), words(c.proof));
            vm.assertEq(r == bytes32(c.root2) && wanted == c.proof.length, !c.wantErr, names[i]);
        }
        vm.assertTrue(asked > 60, "most are asked");
    }

    function test_EveryConsistencyCaseOfTransparencyDevGetsItsAnswer() public {
        string memory json = read(FILE);
        string[] memory names = vm.parseJsonKeys(json, "$");
        vm.assertEq(names.length, 98);

        uint256 byLibrary;
        uint256 byContract;
        uint256 byDecoder;
        for (uint256 i = 0; i < names.length; i++) {
            string memory name = names[i];
            Case memory c = parse(json, name);
            if (!fits(c)) {
                // A root or a node that isn't 32 bytes can't be written in the contract's ABI at all. All these cases
                // want an error but two, which compare equal roots of 12 bytes.
                byDecoder++;
                vm.assertTrue(c.wantErr || (c.size1 == c.size2 && keccak256(c.root1) == keccak256(c.root2)), name);
            } else if (0 < c.size1 && c.size1 < c.size2) {
                byLibrary++;
                vm.assertEq(libraryTakes(c), !c.wantErr, name);
                vm.assertEq(contractTakes(c), !c.wantErr, name);
            } else {
                // Sizes that don't grow never reach the library. The contract answers as the vectors do, but for a
                // proof between a tree and itself: what is anchored already is done, whatever the proof (`anchor` may
                // be sent twice), and there is no other way to send equal sizes and roots.
                byContract++;
                bool again = c.size1 != 0 && c.size1 == c.size2 && keccak256(c.root1) == keccak256(c.root2);
                vm.assertEq(contractTakes(c), again || !c.wantErr, name);
            }
        }
        vm.assertEq(byLibrary, 61, "by the library");
        vm.assertEq(byContract, 10, "by the contract");
        vm.assertEq(byDecoder, 27, "by the decoder");
    }

    function read(string memory file) private returns (string memory json) {
        // Where the folder is absent, forge answers that reading isn't allowed.
        try vm.readFile(file) returns (string memory text) {
            json = text;
        } catch {
            vm.skip(true, "the vectors of ../../shared/vectors can't be read here");
        }
    }

    function libraryTakes(Case memory c) private view returns (bool ok) {
        (ok,) = address(this)
            .staticcall(
                abi.encodeCall(this.verify, (c.size1, bytes32(c.root1), c.size2, bytes32(c.root2), words(c.proof)))
            );
    }

    /// @dev Anchors the first tree, then the second. A first tree of size 0 is one never anchored.
    function contractTakes(Case memory c) private returns (bool ok) {
        Anchors anchors = new Anchors(address(this));
        bytes32 origin = anchors.register("vectors.example/log", address(this));
        if (c.size1 != 0) anchors.anchor(origin, c.size1, bytes32(c.root1), new bytes32[](0));
        (ok,) =
            address(anchors).call(abi.encodeCall(anchors.anchor, (origin, c.size2, bytes32(c.root2), words(c.proof))));
    }

    function fits(Case memory c) private pure returns (bool) {
        for (uint256 i = 0; i < c.proof.length; i++) {
            if (c.proof[i].length != 32) return false;
        }
        return c.root1.length == 32 && c.root2.length == 32;
    }

    function words(bytes[] memory proof) private pure returns (bytes32[] memory out) {
        out = new bytes32[](proof.length);
        for (uint256 i = 0; i < proof.length; i++) {
            out[i] = bytes32(proof[i]);
        }
    }

    function parse(string memory json, string memory name) private pure returns (Case memory c) {
        string memory key = string.concat("$['", name, "'].");
        c.size1 = uint64(vm.parseJsonUint(json, string.concat(key, "size1")));
        c.size2 = uint64(vm.parseJsonUint(json, string.concat(key, "size2")));
        c.root1 = Base64.decode(vm.parseJsonString(json, string.concat(key, "root1")));
        c.root2 = Base64.decode(vm.parseJsonString(json, string.concat(key, "root2")));
        c.wantErr = vm.parseJsonBool(json, string.concat(key, "wantErr"));
        c.proof = parseProof(json, string.concat(key, "proof"));
    }

    /// @dev In the fields of a consistency case: the index in place of the first size, the leaf of the first root.
    function parseInclusion(string memory json, string memory name) private pure returns (Case memory c) {
        string memory key = string.concat("$['", name, "'].");
        c.size1 = uint64(vm.parseJsonUint(json, string.concat(key, "leafIdx")));
        c.size2 = uint64(vm.parseJsonUint(json, string.concat(key, "treeSize")));
        c.root1 = Base64.decode(vm.parseJsonString(json, string.concat(key, "leafHash")));
        c.root2 = Base64.decode(vm.parseJsonString(json, string.concat(key, "root")));
        c.wantErr = vm.parseJsonBool(json, string.concat(key, "wantErr"));
        c.proof = parseProof(json, string.concat(key, "proof"));
    }

    function parseProof(string memory json, string memory key) private pure returns (bytes[] memory nodes) {
        // Some cases have no proof at all: null.
        try vm.parseJsonStringArray(json, key) returns (string[] memory proof) {
            nodes = new bytes[](proof.length);
            for (uint256 i = 0; i < proof.length; i++) {
                nodes[i] = Base64.decode(proof[i]);
            }
        } catch {}
    }
}
