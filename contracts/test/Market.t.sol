// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC1155Errors, IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";

import {IMarket} from "../src/IMarket.sol";
import {KrwDepositToken} from "../src/KrwDepositToken.sol";
import {Market} from "../src/Market.sol";
import {Harness} from "./Harness.sol";

/// @dev Any ERC-1155, with as many tokens as a test wants: the market knows nothing of energy. That withdrawn and claimed
/// credits are not delivered is shown with Credits itself (Credits.invariant.t.sol).
contract Pieces is ERC1155("") {
    function mint(address to, uint256 id, uint256 value) external {
        _mint(to, id, value, "");
    }
}

/// @dev A buyer that is a contract, and that does something when it gets its credits.
contract Greedy is IERC1155Receiver {
    Market internal immutable market;
    KrwDepositToken internal immutable krw;
    bytes[] internal calls;
    /// What the last of them was answered with.
    bool public ok;
    bytes public answer;
    /// What it had when it was called.
    uint256 public creditsThen;
    uint256 public krwThen;

    constructor(Market market_, KrwDepositToken krw_) {
        (market, krw) = (market_, krw_);
        krw.approve(address(market), type(uint256).max);
    }

    function then(bytes calldata call) external {
        calls.push(call);
    }

    function buy(uint256 listing, uint256 id, uint64 wh, uint128 most) external {
        market.buy(listing, id, wh, most);
    }

    function onERC1155Received(address, address, uint256 id, uint256, bytes calldata) external returns (bytes4) {
        creditsThen = Pieces(msg.sender).balanceOf(address(this), id);
        krwThen = krw.balanceOf(address(this));
        if (calls.length != 0) {
            bytes memory call = calls[calls.length - 1];
            calls.pop();
            (ok, answer) = address(market).call(call);
        }
        return this.onERC1155Received.selector;
    }

    function onERC1155BatchReceived(address, address, uint256[] calldata, uint256[] calldata, bytes calldata)
        external
        pure
        returns (bytes4)
    {
        return 0;
    }

    function supportsInterface(bytes4) external pure returns (bool) {
        return true;
    }
}

contract MarketTest is Harness {
    address internal constant BANK = address(0xBA4C);
    address internal constant SELLER = address(0x5E11);
    address internal constant BUYER = address(0xB0B);
    address internal constant STRANGER = address(0xBAD);
    uint256 internal constant ID = uint256(keccak256("a day of a plant"));
    uint40 internal constant NOW = 1_800_000_000;
    uint40 internal constant EXPIRY = NOW + 1 days;
    uint64 internal constant WH = 10_000;
    /// 70 won for a kWh.
    uint128 internal constant PRICE = 70_000;

    Pieces internal credits = new Pieces();
    KrwDepositToken internal krw = new KrwDepositToken(BANK);
    Market internal market = new Market(credits, krw);

    function setUp() public {
        vm.warp(NOW);
        credits.mint(SELLER, ID, WH);
        vm.prank(SELLER);
        credits.setApprovalForAll(address(market), true);
        pay(BUYER, 1_000_000_000_000);
    }

    // --- listing ---------------------------------------------------------------------------------------------------

    function testFuzz_WhatIsListedIsHeldAndSaid(uint256 id, uint64 wh, uint128 price, uint40 expiry, address seller)
        public
    {
        vm.assume(seller != address(0));
        if (wh == 0 || price == 0 || expiry <= NOW) {
            vm.expectRevert(abi.encodeWithSelector(IMarket.BadTerms.selector, wh, price, expiry));
            vm.prank(seller);
            market.list(id, wh, price, expiry);
            vm.assertEq(market.listings(), 0);
            return;
        }
        vm.expectEmit(address(market));
        emit IMarket.Listed(1, seller, id, wh, price, expiry);
        vm.prank(seller);
        vm.assertEq(market.list(id, wh, price, expiry), 1);
        assertHeld(1, IMarket.Listing({seller: seller, expiry: expiry, id: id, price: price, left: wh}));
        vm.assertEq(market.listings(), 1);
    }

    /// @dev At the edges, which a fuzzer seldom finds.
    function test_AnOfferOfNothingForNothingOrThatIsOverIsRefused() public {
        refuseTerms(0, PRICE, EXPIRY);
        refuseTerms(WH, 0, EXPIRY);
        refuseTerms(WH, PRICE, NOW);
        vm.prank(SELLER);
        vm.assertEq(market.list(ID, 1, 1, NOW + 1), 1);
    }

    function test_ListingsAreNumberedFromOneAndNoneIsZero() public {
        vm.assertEq(list(), 1);
        vm.assertEq(list(), 2);
        assertHeld(0, none());
        assertHeld(3, none());
    }

    function test_AListingHoldsNothingAndMovesNothing() public {
        list();
        vm.assertEq(credits.balanceOf(SELLER, ID), WH);
        vm.assertEq(credits.balanceOf(address(market), ID), 0);
    }

    // --- buying ----------------------------------------------------------------------------------------------------

    function testFuzz_ATradeMovesBothOrNeitherAndNothingStaysWithTheMarket(uint64 wh, uint128 price, uint256 money)
        public
    {
        wh = uint64(between(wh, 0, WH + WH / 4));
        price = uint128(between(price, 1, 1e12));
        money = between(money, 0, 2e16);
        vm.prank(SELLER);
        market.list(ID, WH, price, EXPIRY);
        address buyer = address(0xF0);
        pay(buyer, money);
        uint256 cost = uint256(wh) * price;
        bool good = wh != 0 && wh <= WH && cost <= money;
        vm.prank(buyer);
        (bool ok,) = address(market).call(abi.encodeCall(market.buy, (1, ID, wh, price)));
        vm.assertEq(ok, good, "bought");
        vm.assertEq(credits.balanceOf(buyer, ID), good ? wh : 0, "the buyer's credits");
        vm.assertEq(credits.balanceOf(SELLER, ID), good ? WH - wh : WH, "the seller's credits");
        vm.assertEq(krw.balanceOf(buyer), good ? money - cost : money, "the buyer's money");
        vm.assertEq(krw.balanceOf(SELLER), good ? cost : 0, "the seller's money");
        vm.assertEq(market.get(1).left, good ? WH - wh : WH, "left");
        vm.assertEq(credits.balanceOf(address(market), ID) + krw.balanceOf(address(market)), 0, "with the market");
    }

    /// @dev In how many pieces it is bought makes no difference: nothing is rounded.
    function testFuzz_ManySmallPurchasesCostWhatALargeOneDoes(uint256 seed, uint128 price) public {
        price = uint128(between(price, 1, 1e8));
        vm.prank(SELLER);
        market.list(ID, WH, price, EXPIRY);
        uint64 left = WH;
        for (uint256 i = 0; i < 8; i++) {
            uint64 wh = i == 7 ? left : uint64(between(uint256(keccak256(abi.encode(seed, i))), 1, left / 2));
            left -= wh;
            vm.expectEmit(address(market));
            emit IMarket.Bought(1, BUYER, ID, SELLER, wh, uint256(wh) * price, left);
            buy(wh, price);
        }
        vm.assertEq(krw.balanceOf(SELLER), uint256(WH) * price);
        vm.assertEq(credits.balanceOf(BUYER, ID), WH);
        refuseToBuy(1, ID, 1, price, abi.encodeWithSelector(IMarket.NotLeft.selector, 1, 0, 1));
    }

    function test_TheTermsStayWhatTheyWere() public {
        list();
        buy(1, type(uint128).max);
        assertHeld(1, IMarket.Listing({seller: SELLER, expiry: EXPIRY, id: ID, price: PRICE, left: WH - 1}));
        vm.prank(SELLER);
        market.cancel(1);
        assertHeld(1, IMarket.Listing({seller: SELLER, expiry: EXPIRY, id: ID, price: PRICE, left: 0}));
    }

    function test_ABuyerPaysNoMoreThanTheyAgreeTo() public {
        list();
        bytes memory why = abi.encodeWithSelector(IMarket.TooExpensive.selector, 1, PRICE, PRICE - 1);
        refuseToBuy(1, ID, 1, PRICE - 1, why);
        buy(1, PRICE);
    }

    /// @dev A reorganisation of the chain may give a number to another listing.
    function test_ABuyerGetsTheCreditsThatTheyAskedFor() public {
        list();
        refuseToBuy(1, ID + 1, 1, PRICE, abi.encodeWithSelector(IMarket.OtherCredits.selector, 1, ID));
    }

    function test_ThereIsNothingToBuyWhereNothingWasListed() public {
        refuseToBuy(1, ID, 1, PRICE, abi.encodeWithSelector(IMarket.UnknownListing.selector, 1));
        refuseToBuy(0, 0, 1, PRICE, abi.encodeWithSelector(IMarket.UnknownListing.selector, 0));
    }

    function test_NothingAndMoreThanIsLeftAreRefused() public {
        list();
        refuseToBuy(1, ID, 0, PRICE, abi.encodeWithSelector(IMarket.NotLeft.selector, 1, WH, 0));
        refuseToBuy(1, ID, WH + 1, PRICE, abi.encodeWithSelector(IMarket.NotLeft.selector, 1, WH, WH + 1));
        buy(WH, PRICE);
    }

    function test_AnOfferEndsAtItsExpiry() public {
        list();
        vm.warp(EXPIRY - 1);
        buy(1, PRICE);
        vm.warp(EXPIRY);
        refuseToBuy(1, ID, 1, PRICE, abi.encodeWithSelector(IMarket.Expired.selector, 1, EXPIRY));
    }

    // --- what cannot be delivered, or not be paid --------------------------------------------------------------------

    function test_WhatTheSellerHasNoMoreIsNotDeliveredAndNotPaid() public {
        list();
        vm.prank(SELLER);
        credits.safeTransferFrom(SELLER, STRANGER, ID, WH - 5, "");
        bytes memory why = abi.encodeWithSelector(IERC1155Errors.ERC1155InsufficientBalance.selector, SELLER, 5, 6, ID);
        refuseToBuy(1, ID, 6, PRICE, why);
        buy(5, PRICE);
    }

    function test_TheMarketMovesNothingOfWhoDoesntLetIt() public {
        list();
        vm.prank(SELLER);
        credits.setApprovalForAll(address(market), false);
        bytes memory why =
            abi.encodeWithSelector(IERC1155Errors.ERC1155MissingApprovalForAll.selector, address(market), SELLER);
        refuseToBuy(1, ID, 1, PRICE, why);
    }

    function test_WhoHasntTheMoneyGetsNothing() public {
        list();
        vm.prank(BUYER);
        krw.approve(address(market), PRICE - 1);
        bytes memory why =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(market), PRICE - 1, PRICE);
        refuseToBuy(1, ID, 1, PRICE, why);
        vm.prank(BUYER);
        krw.approve(address(market), type(uint256).max);
        uint256 money = krw.balanceOf(BUYER);
        vm.prank(BUYER);
        krw.transfer(STRANGER, money);
        why = abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, BUYER, 0, PRICE);
        refuseToBuy(1, ID, 1, PRICE, why);
    }

    function test_ABuyerThatCannotTakeCreditsPaysNothing() public {
        list();
        // A contract without the callback: the money itself.
        address buyer = address(krw);
        pay(buyer, 1e12);
        bytes memory why = abi.encodeWithSelector(IERC1155Errors.ERC1155InvalidReceiver.selector, buyer);
        vm.expectRevert(why);
        vm.prank(buyer);
        market.buy(1, ID, 1, PRICE);
        vm.assertEq(krw.balanceOf(SELLER), 0);
    }

    /// @dev Everybody lets the market move their credits and their money: only by their own listing and purchase.
    function testFuzz_AStrangerMovesNothingOfOthers(uint64 wh, uint128 price) public {
        wh = uint64(between(wh, 1, WH));
        price = uint128(between(price, 1, 1e6));
        // Has nothing of ID, offers it all the same: the seller's are not taken in its place.
        vm.prank(STRANGER);
        credits.setApprovalForAll(address(market), true);
        vm.prank(STRANGER);
        market.list(ID, wh, price, EXPIRY);
        bytes memory why =
            abi.encodeWithSelector(IERC1155Errors.ERC1155InsufficientBalance.selector, STRANGER, 0, wh, ID);
        refuseToBuy(1, ID, wh, price, why);
    }

    // --- taking back -----------------------------------------------------------------------------------------------

    function test_WhoListsTakesBackWhatIsLeft() public {
        list();
        buy(4, PRICE);
        vm.expectEmit(address(market));
        emit IMarket.Cancelled(1, SELLER, ID, WH - 4);
        vm.prank(SELLER);
        market.cancel(1);
        refuseToBuy(1, ID, 1, PRICE, abi.encodeWithSelector(IMarket.NotLeft.selector, 1, 0, 1));
        bytes memory why = abi.encodeWithSelector(IMarket.NotLeft.selector, 1, 0, 0);
        vm.expectRevert(why);
        vm.prank(SELLER);
        market.cancel(1);
    }

    function testFuzz_NobodyElseTakesItBack(address caller) public {
        vm.assume(caller != SELLER);
        list();
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotSeller.selector, 1, caller));
        vm.prank(caller);
        market.cancel(1);
        vm.expectRevert(abi.encodeWithSelector(IMarket.UnknownListing.selector, 2));
        vm.prank(caller);
        market.cancel(2);
    }

    function test_AnOfferThatIsOverCanStillBeTakenBack() public {
        list();
        vm.warp(EXPIRY + 1);
        vm.prank(SELLER);
        market.cancel(1);
    }

    // --- who is called on the way ------------------------------------------------------------------------------------

    function test_ABuyerThatIsCalledHasItsCreditsAndHasPaid() public {
        list();
        Greedy buyer = greedy(10 * PRICE);
        buyer.buy(1, ID, 4, PRICE);
        vm.assertEq(buyer.creditsThen(), 4);
        vm.assertEq(buyer.krwThen(), 6 * PRICE);
    }

    function test_ABuyerThatIsCalledMayBuyOnAtTheSamePriceAndNoMoreThanIsLeft() public {
        list();
        Greedy buyer = greedy(uint256(WH) * PRICE);
        buyer.then(abi.encodeCall(market.buy, (1, ID, WH - 4, PRICE)));
        buyer.buy(1, ID, 4, PRICE);
        vm.assertEq(buyer.ok(), true, "all that was left");
        vm.assertEq(credits.balanceOf(address(buyer), ID), WH);
        vm.assertEq(krw.balanceOf(SELLER), uint256(WH) * PRICE);

        credits.mint(SELLER, ID, WH);
        list();
        Greedy other = greedy(uint256(2 * WH) * PRICE);
        other.then(abi.encodeCall(market.buy, (2, ID, WH - 3, PRICE)));
        other.buy(2, ID, 4, PRICE);
        vm.assertEq(other.ok(), false, "more than was left");
        bytes memory why = abi.encodeWithSelector(IMarket.NotLeft.selector, 2, WH - 4, WH - 3);
        vm.assertEq(keccak256(other.answer()), keccak256(why), "why");
        vm.assertEq(credits.balanceOf(address(other), ID), 4);
    }

    // --- the money -------------------------------------------------------------------------------------------------

    function test_TheMoneySaysThatItIsAMock() public view {
        vm.assertEq(keccak256(bytes(krw.name())), keccak256("MOCK KRW deposit token"));
        vm.assertEq(keccak256(bytes(krw.symbol())), keccak256("mockKRW"));
        vm.assertEq(krw.decimals(), 6);
    }

    function testFuzz_OnlyTheBankIssuesAndBurnsAndOnlyItsOwn(address caller, uint256 amount) public {
        vm.assume(caller != BANK);
        bytes memory why = abi.encodeWithSelector(
            IAccessControl.AccessControlUnauthorizedAccount.selector, caller, keccak256("BANK_ROLE")
        );
        vm.expectRevert(why);
        vm.prank(caller);
        krw.mint(caller, amount);
        vm.expectRevert(why);
        vm.prank(caller);
        krw.burn(amount);

        uint256 before = krw.totalSupply();
        amount = between(amount, 1, 1e12);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, BANK, 0, amount));
        vm.prank(BANK);
        krw.burn(amount);
        vm.prank(BUYER);
        krw.transfer(BANK, amount);
        vm.prank(BANK);
        krw.burn(amount);
        vm.assertEq(krw.totalSupply(), before - amount);
    }

    // --- the words of these tests ------------------------------------------------------------------------------------

    function list() private returns (uint256) {
        vm.prank(SELLER);
        return market.list(ID, WH, PRICE, EXPIRY);
    }

    function buy(uint64 wh, uint128 most) private {
        vm.prank(BUYER);
        market.buy(1, ID, wh, most);
    }

    function pay(address to, uint256 amount) private {
        vm.prank(BANK);
        krw.mint(to, amount);
        vm.prank(to);
        krw.approve(address(market), type(uint256).max);
    }

    function greedy(uint256 money) private returns (Greedy buyer) {
        buyer = new Greedy(market, krw);
        vm.prank(BANK);
        krw.mint(address(buyer), money);
    }

    function refuseTerms(uint64 wh, uint128 price, uint40 expiry) private {
        vm.expectRevert(abi.encodeWithSelector(IMarket.BadTerms.selector, wh, price, expiry));
        vm.prank(SELLER);
        market.list(ID, wh, price, expiry);
    }

    /// @dev A purchase by BUYER that changes nothing.
    function refuseToBuy(uint256 listing, uint256 id, uint64 wh, uint128 most, bytes memory why) private {
        bytes32 before = state(listing);
        vm.expectRevert(why);
        vm.prank(BUYER);
        market.buy(listing, id, wh, most);
        vm.assertEq(state(listing), before, "something changed");
    }

    function state(uint256 listing) private view returns (bytes32) {
        IMarket.Listing memory l = market.get(listing);
        return keccak256(
            abi.encode(
                l,
                krw.balanceOf(BUYER),
                krw.balanceOf(l.seller),
                credits.balanceOf(BUYER, ID),
                credits.balanceOf(l.seller, ID)
            )
        );
    }

    function none() private pure returns (IMarket.Listing memory l) {}

    function assertHeld(uint256 listing, IMarket.Listing memory wanted) private view {
        vm.assertEq(keccak256(abi.encode(market.get(listing))), keccak256(abi.encode(wanted)), "what is held");
    }
}
