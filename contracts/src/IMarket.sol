// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Market: credits against money, in one step
/// @notice A seller lists credits at a price, anybody buys a part or all of them. The market never holds anything: the
/// seller's credits stay with the seller until the trade (who lists lets the market move them, `setApprovalForAll`), the
/// buyer's money with the buyer (`approve`), and a trade moves both or neither. There are no fees.
///
/// A listing is an offer, not a promise: whether the seller has the credits is seen when somebody buys. Credits that were
/// sold elsewhere, claimed or withdrawn meanwhile cannot be delivered, and such a purchase changes nothing. What is minted
/// again after a withdrawal has another id, so that no old listing offers it.
///
/// The terms of a listing never change, only what is left of it gets less, by purchases or to nothing by its seller. A
/// buyer says which credits they want and what they pay at the most all the same: after a reorganisation of the chain, a
/// number may be that of another listing.
///
/// Energy is in Wh, prices are in base units of the money for each Wh. A purchase costs Wh × price: two whole numbers, so
/// nothing is ever rounded, and many small purchases cost what one large one does.
interface IMarket {
    /// @notice An offer. All but `left` is as it was listed, for ever.
    struct Listing {
        /// The zero account where there is no such listing.
        address seller;
        /// Until this second, itself not included.
        uint40 expiry;
        /// Of the credits.
        uint256 id;
        /// Base units of the money for a Wh, at least 1.
        uint128 price;
        /// Wh that are still offered. 0: sold, or cancelled.
        uint64 left;
    }

    /// @notice An offer was made. Listings are numbered from 1 on.
    event Listed(
        uint256 indexed listing, address indexed seller, uint256 indexed id, uint64 wh, uint128 price, uint40 expiry
    );

    /// @notice A trade: `wh` went from the seller to the buyer, `paid` base units the other way.
    event Bought(
        uint256 indexed listing,
        address indexed buyer,
        uint256 indexed id,
        address seller,
        uint64 wh,
        uint256 paid,
        uint64 left
    );

    /// @notice The seller took the offer back, with `left` Wh unsold.
    event Cancelled(uint256 indexed listing, address indexed seller, uint256 indexed id, uint64 left);

    /// @notice An offer of nothing, for nothing, or one that is over already.
    error BadTerms(uint64 wh, uint128 price, uint40 expiry);
    /// @notice Nothing was ever listed under this number.
    error UnknownListing(uint256 listing);
    /// @notice Only who made an offer takes it back.
    error NotSeller(uint256 listing, address caller);
    /// @notice The offer ended.
    error Expired(uint256 listing, uint40 expiry);
    /// @notice This listing offers other credits than the buyer wants.
    error OtherCredits(uint256 listing, uint256 id);
    /// @notice The price is above what the buyer pays at the most.
    error TooExpensive(uint256 listing, uint128 price, uint128 most);
    /// @notice The buyer wants nothing, or more than is left: 0 where the listing is sold or cancelled.
    error NotLeft(uint256 listing, uint64 left, uint64 wh);

    /// @notice Offers `wh` of the caller's credits `id`. Reverts with `BadTerms`.
    /// @param price Base units of the money for a Wh.
    /// @param expiry Seconds since 1970; the largest uint40 is for ever.
    /// @return listing Its number.
    function list(uint256 id, uint64 wh, uint128 price, uint40 expiry) external returns (uint256 listing);

    /// @notice Buys `wh` of a listing, a part or all that is left; all of `wh`, or nothing happens.
    /// @dev Reverts, in this order, with `UnknownListing`, `OtherCredits`, `Expired`, `TooExpensive`, `NotLeft`, with what
    /// the money says where the buyer cannot pay, and with what the credits say where the seller cannot deliver, or where
    /// the buyer is a contract that doesn't take them.
    /// @param id The credits that the buyer wants. @param most The highest price for a Wh that the buyer agrees to.
    function buy(uint256 listing, uint256 id, uint64 wh, uint128 most) external;

    /// @notice Takes the caller's offer back. Reverts, in this order, with `UnknownListing`, `NotSeller`, and `NotLeft`
    /// where it is sold or cancelled already.
    function cancel(uint256 listing) external;

    /// @notice All that is held of a listing; all zero where there is none.
    function get(uint256 listing) external view returns (Listing memory);
}
