// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC1155} from "@openzeppelin/contracts/token/ERC1155/IERC1155.sol";

import {IMarket} from "./IMarket.sol";

/// @title Market: what it promises is said in IMarket
/// @dev It calls out in `buy` alone, and to the two contracts that it was made with. Before that all of its own state is
/// as it will be, so there is no lock: who is called on the way (a buyer that is a contract is, when it gets its credits)
/// finds a market that is between two trades, and may trade. Money goes first: when the buyer is called both sides have
/// what is theirs. Were the seller called with the money and moved the credits away, they could not be delivered, and
/// all of it would be undone.
contract Market is IMarket {
    using SafeERC20 for IERC20;

    IERC1155 public immutable credits;
    IERC20 public immutable krw;

    /// @notice How many listings there ever were, which is the number of the last.
    uint256 public listings;

    /// @dev Three slots; a purchase and a cancellation write the third.
    mapping(uint256 listing => Listing) private _listings;

    /// @param credits_ What is sold. @param krw_ What it is paid in.
    constructor(IERC1155 credits_, IERC20 krw_) {
        credits = credits_;
        krw = krw_;
    }

    /// @inheritdoc IMarket
    function list(uint256 id, uint64 wh, uint128 price, uint40 expiry) external returns (uint256 listing) {
        if (wh == 0 || price == 0 || expiry <= block.timestamp) revert BadTerms(wh, price, expiry);
        listing = ++listings;
        _listings[listing] = Listing({seller: msg.sender, expiry: expiry, id: id, price: price, left: wh});
        emit Listed(listing, msg.sender, id, wh, price, expiry);
    }

    /// @inheritdoc IMarket
    function buy(uint256 listing, uint256 id, uint64 wh, uint128 most) external {
        Listing storage l = _listings[listing];
        address seller = l.seller;
        if (seller == address(0)) revert UnknownListing(listing);
        if (id != l.id) revert OtherCredits(listing, l.id);
        if (block.timestamp >= l.expiry) revert Expired(listing, l.expiry);
        (uint128 price, uint64 left) = (l.price, l.left);
        if (price > most) revert TooExpensive(listing, price, most);
        if (wh == 0 || wh > left) revert NotLeft(listing, left, wh);
        left -= wh;
        l.left = left;
        uint256 paid = uint256(price) * wh;
        emit Bought(listing, msg.sender, id, seller, wh, paid, left);
        krw.safeTransferFrom(msg.sender, seller, paid);
        credits.safeTransferFrom(seller, msg.sender, id, wh, "");
    }

    /// @inheritdoc IMarket
    function cancel(uint256 listing) external {
        Listing storage l = _listings[listing];
        if (l.seller == address(0)) revert UnknownListing(listing);
        if (msg.sender != l.seller) revert NotSeller(listing, msg.sender);
        uint64 left = l.left;
        if (left == 0) revert NotLeft(listing, 0, 0);
        l.left = 0;
        emit Cancelled(listing, msg.sender, l.id, left);
    }

    /// @inheritdoc IMarket
    function get(uint256 listing) external view returns (Listing memory) {
        return _listings[listing];
    }
}
