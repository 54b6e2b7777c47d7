// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Anchors: the newest checkpoint of each log, and every one before it
/// @notice A log is known by its origin, the first line of its checkpoints. Its gateway anchors the log's size and
/// root (RFC 6962, section 2.1) here from time to time. Each anchor must prove that the log only grew since the last
/// one, so no gateway can rewrite what it has anchored, whoever holds its key.
/// @dev A proof binds roots, not sizes: roots don't contain their size (RFC 6962), and the proofs to several sizes can be
/// walked alike. So `size` is the sender's word, to be compared with its signed checkpoint. Misstating it gives the
/// last entries other positions and spoils the sender's next proofs; but what lies under an anchored root lies under
/// every later one, whatever sizes are claimed.
///
/// The sender also signs each head that it anchors (EIP-712, `Head` in the domain "Sejong Edge Anchors", version "1", of
/// this chain and this contract). Two that contradict each other, for one size, prove to anybody that the log showed two
/// histories; shown here, they end it: the log is frozen for ever. Heads of different sizes contradict each other
/// only through the entries between them, which nobody can be made to show here: `anchor` demands them of the sender.
///
/// Sizes count entries of the log, times are seconds since 1970 (the block's timestamp), roots are SHA-256.
interface IAnchors {
    /// @notice `sender` is now the one account that may anchor for the log `name`.
    event Registered(bytes32 indexed origin, address indexed sender, string name);

    /// @notice The log of `origin` has, for ever, the root `root` at `size` entries.
    event Anchored(bytes32 indexed origin, uint64 indexed size, bytes32 root);

    /// @notice Two accounts of the log of `origin`, or one, signed `rootA` and `rootB` for `size` entries: it is frozen for
    /// ever. Where one of them was anchored, that is `rootB`.
    event Contradiction(bytes32 indexed origin, uint64 indexed size, bytes32 rootA, bytes32 rootB);

    /// @notice The log of `origin` has contradicted itself, and is frozen for ever.
    error Frozen(bytes32 origin);

    /// @notice Two equal roots for one size, or a root against a size that was never anchored: no contradiction.
    error NoContradiction(uint64 size);

    /// @notice The signature isn't by an account that is or ever was registered for `origin`, but by `signer`.
    error NotSigner(bytes32 origin, address signer);

    /// @notice At `size` entries no root was anchored.
    error NotAnchored(bytes32 origin, uint64 size);

    /// @notice A tree of `size` entries has no entry `index`: they are counted from 0.
    error EntryBeyondTree(uint64 index, uint64 size);

    /// @notice The path doesn't lead from the entry to the root anchored at `size`, but to `proven`.
    error NotIncluded(uint64 index, uint64 size, bytes32 proven);

    /// @notice The calldata isn't the one encoding of its arguments: some other bytes, as padding or at the end.
    error NotCanonical();

    /// @notice The zero account can't be a sender: it stands for "nobody registered".
    error ZeroSender();

    /// @notice Nobody is registered for `origin`.
    error UnknownOrigin(bytes32 origin);

    /// @notice `caller` isn't the account that may anchor for `origin`.
    error NotSender(bytes32 origin, address caller);

    /// @notice A log of no entries, or a root of zero bytes: there is nothing to anchor.
    error EmptyTree();

    /// @notice Sizes are kept in 48 bits, that is 281 million million entries.
    error SizeTooLarge(uint64 size);

    /// @notice The log has `held` entries here already, more than the `given`, and never had an anchor there.
    error ShrunkTree(uint64 held, uint64 given);

    /// @notice At `size` the log already has the root `held`, and `given` is another.
    error ForkedTree(uint64 size, bytes32 held, bytes32 given);

    /// @notice The proof has `given` nodes, while the two sizes demand `wanted` (none for the first anchor).
    error ProofLength(uint256 given, uint256 wanted);

    /// @notice The proof isn't one between the two trees: at `size` it yields `proven` where the root is `root`.
    /// @dev Where `size` is the size held, the past was rewritten; where it is the new size, the past was rewritten or
    /// the new root is wrong (the two can't be told apart when the size held is a power of two: its root is then part
    /// of the proof). A proof damaged on its way gives the same error.
    error InconsistentTree(uint64 size, bytes32 root, bytes32 proven);

    /// @notice Names the account that may anchor for a log, or changes it (a new key). What is anchored stays.
    /// @dev Only the owner, the city's administrator; others get Ownable's `OwnableUnauthorizedAccount`.
    /// Reverts with `ZeroSender` or `Frozen`.
    /// @param name The origin line of the log's checkpoints, without the newline.
    /// @param sender The account that may call `anchor`, in place of the one before.
    /// @return origin keccak256 of `name`.
    function register(string calldata name, address sender) external returns (bytes32 origin);

    /// @notice Anchors the log of `origin` at `size` entries.
    /// @dev The first anchor of a log is taken as it is. Every later one must grow the log, and prove it.
    /// Anchoring again what the history holds, the newest or not, does nothing and succeeds whatever the proof, so
    /// that a transaction may be sent twice. Reverts, in this order, with `UnknownOrigin`, `Frozen`, `NotSender`,
    /// `ForkedTree`, `ShrunkTree`, `EmptyTree`, `SizeTooLarge`, `ProofLength`, `InconsistentTree`.
    /// @param origin keccak256 of the log's origin line.
    /// @param size The log's size, in entries.
    /// @param root The log's root at that size: MTH of RFC 6962, section 2.1.
    /// @param proof The consistency proof from the size held here to `size`: PROOF of RFC 6962, section 2.1.2, in its
    /// order. Empty for the first anchor.
    function anchor(bytes32 origin, uint64 size, bytes32 root, bytes32[] calldata proof) external;

    /// @notice Checks that `entry` is in the log of `origin`, at `index`, under the root anchored at `size` entries.
    /// Returns that root, or reverts: nobody can forget to look at the answer, and an address without a contract, which
    /// answers every call with nothing, can't be taken for a yes.
    /// @dev Holds for a frozen log, too: what was anchored stays provable. Only the one ABI encoding of the arguments is
    /// taken (it is `abi.encodeCall`'s), so that calldata kept as a receipt can't be changed in any bit.
    /// Reverts, in this order, with `NotCanonical`, `NotAnchored`, `EntryBeyondTree`, `ProofLength`, `NotIncluded`.
    /// @param index The entry's number, from 0.
    /// @param entry The entry's bytes: the envelope as the device signed it.
    /// @param path The inclusion path: PATH of RFC 6962, section 2.1.1, in its order.
    function verifyEntry(bytes32 origin, uint64 size, uint64 index, bytes calldata entry, bytes32[] calldata path)
        external
        view
        returns (bytes32 root);

    /// @notice Freezes a log for ever by two heads of one size with different roots, both signed for it.
    /// @dev Anybody may: the two signatures are the proof. Each is by an account that is or ever was registered for the
    /// log, since a log could else escape from what it signed by a change of keys. So a key that is out of use must be
    /// destroyed, or guarded like one in use. Reverts, in this order, with `NoContradiction`, `Frozen`, `NotSigner`
    /// (or ECDSA's errors, for what is no signature).
    /// @param signatureA 65 bytes, r ‖ s ‖ v, over `headDigest(origin, size, rootA)`; so `signatureB` for `rootB`.
    function freeze(
        bytes32 origin,
        uint64 size,
        bytes32 rootA,
        bytes calldata signatureA,
        bytes32 rootB,
        bytes calldata signatureB
    ) external;

    /// @notice The same with one signed head, against the root that was anchored at its size.
    function freezeAgainstAnchor(bytes32 origin, uint64 size, bytes32 root, bytes calldata signature) external;

    /// @notice What the sender of a log signs for a head: the EIP-712 digest of
    /// `Head(bytes32 origin,uint64 size,bytes32 root)`.
    function headDigest(bytes32 origin, uint64 size, bytes32 root) external view returns (bytes32);

    /// @notice Whether a log has contradicted itself. It takes no anchors and no senders any more.
    function isFrozen(bytes32 origin) external view returns (bool);

    /// @notice Whether `account` is or ever was the sender of a log.
    function wasSender(bytes32 origin, address account) external view returns (bool);

    /// @notice The newest anchor of a log: its size (entries), its root, and when it came (seconds since 1970).
    /// All zero before the first.
    function head(bytes32 origin) external view returns (uint64 size, bytes32 root, uint64 time);

    /// @notice The root of a log at `size` entries, zero when no anchor was made at that size.
    function rootAt(bytes32 origin, uint64 size) external view returns (bytes32);

    /// @notice The account that may anchor for a log, zero for an unknown one.
    function senderOf(bytes32 origin) external view returns (address);
}
