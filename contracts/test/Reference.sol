// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @dev RFC 6962, section 2.1, word for word and without a thought for gas: what the library is held against.
/// A log is the array D of its leaf hashes, SHA-256(0x00 ‖ entry); `D[from:to]` is given by its bounds.
library Reference {
    function node(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }

    /// @dev The largest power of two smaller than n.
    function split(uint256 n) internal pure returns (uint256 k) {
        k = 1;
        while (k * 2 < n) k *= 2;
    }

    /// @dev An entry of the log that `seed` names.
    function entry(uint256 seed, uint256 i) internal pure returns (bytes memory) {
        return abi.encodePacked(seed, i);
    }

    /// @dev `size` leaf hashes of a log that `seed` names. Two logs of one seed are one log at two sizes.
    function leaves(uint256 seed, uint256 size) internal pure returns (bytes32[] memory d) {
        d = new bytes32[](size);
        for (uint256 i = 0; i < size; i++) {
            d[i] = sha256(abi.encodePacked(bytes1(0x00), entry(seed, i)));
        }
    }

    /// @dev MTH(D[0:size]), section 2.1.
    function root(bytes32[] memory d, uint256 size) internal pure returns (bytes32) {
        return mth(d, 0, size);
    }

    function mth(bytes32[] memory d, uint256 from, uint256 to) internal pure returns (bytes32) {
        if (to - from == 1) return d[from];
        uint256 k = split(to - from);
        return node(mth(d, from, from + k), mth(d, from + k, to));
    }

    /// @dev PATH(m, D[0:n]), section 2.1.1.
    function path(bytes32[] memory d, uint256 m, uint256 n) internal pure returns (bytes32[] memory) {
        return subpath(d, m, 0, n);
    }

    function subpath(bytes32[] memory d, uint256 m, uint256 from, uint256 to) internal pure returns (bytes32[] memory) {
        if (to - from == 1) return new bytes32[](0);
        uint256 k = split(to - from);
        return m < k
            ? append(subpath(d, m, from, from + k), mth(d, from + k, to))
            : append(subpath(d, m - k, from + k, to), mth(d, from, from + k));
    }

    /// @dev PROOF(m, D[0:n]), section 2.1.2.
    function proof(bytes32[] memory d, uint256 m, uint256 n) internal pure returns (bytes32[] memory) {
        return subproof(d, m, 0, n, true);
    }

    function subproof(bytes32[] memory d, uint256 m, uint256 from, uint256 to, bool b)
        internal
        pure
        returns (bytes32[] memory)
    {
        uint256 n = to - from;
        if (m == n) return b ? new bytes32[](0) : append(new bytes32[](0), mth(d, from, to));
        uint256 k = split(n);
        return m <= k
            ? append(subproof(d, m, from, from + k, b), mth(d, from + k, to))
            : append(subproof(d, m - k, from + k, to, false), mth(d, from, from + k));
    }

    function append(bytes32[] memory list, bytes32 last) internal pure returns (bytes32[] memory longer) {
        longer = new bytes32[](list.length + 1);
        for (uint256 i = 0; i < list.length; i++) {
            longer[i] = list[i];
        }
        longer[list.length] = last;
    }
}

/// @dev The same for a log whose leaves are all alike: a subtree then depends on its size alone, so sizes near 2^64 are
/// within reach.
library UniformLog {
    bytes32 internal constant LEAF = 0x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d; // SHA-256(0x00)

    function split(uint256 n) internal pure returns (uint256 k) {
        return Reference.split(n);
    }

    function root(uint256 size) internal pure returns (bytes32 hash) {
        if (size & (size - 1) != 0) {
            uint256 k = split(size);
            return Reference.node(root(k), root(size - k));
        }
        hash = LEAF;
        for (; size > 1; size /= 2) {
            hash = Reference.node(hash, hash);
        }
    }

    function path(uint256 m, uint256 n) internal pure returns (bytes32[] memory) {
        if (n == 1) return new bytes32[](0);
        uint256 k = split(n);
        return m < k ? Reference.append(path(m, k), root(n - k)) : Reference.append(path(m - k, n - k), root(k));
    }

    function proof(uint256 m, uint256 n) internal pure returns (bytes32[] memory) {
        return subproof(m, n, true);
    }

    function subproof(uint256 m, uint256 n, bool b) internal pure returns (bytes32[] memory) {
        if (m == n) return b ? new bytes32[](0) : Reference.append(new bytes32[](0), root(n));
        uint256 k = split(n);
        return m <= k
            ? Reference.append(subproof(m, k, b), root(n - k))
            : Reference.append(subproof(m - k, n - k, false), root(k));
    }
}
