// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {KrwDepositToken} from "../src/KrwDepositToken.sol";
import {Market} from "../src/Market.sol";
import {Harness} from "./Harness.sol";
import {Pieces} from "./Market.t.sol";

/// @dev What a transaction costs, written to snapshots/market.json, as Anchors.gas.t.sol does. Of OpenZeppelin's ERC-1155:
/// Credits adds what it asks before a token moves.
/// forge-config: default.isolate = true
contract MarketGasTest is Harness {
    address internal constant SELLER = address(0x5E11);
    address internal constant BUYER = address(0xB0B);
    uint256 internal constant ID = uint256(keccak256("a day of a plant"));
    uint40 internal constant EVER = type(uint40).max;

    event log_named_uint(string what, uint256 gas);

    Pieces internal credits = new Pieces();
    KrwDepositToken internal krw = new KrwDepositToken(address(this));
    Market internal market = new Market(credits, krw);

    function test_GasOfATrade() public {
        credits.mint(SELLER, ID, 10_000);
        krw.mint(BUYER, 1e12);
        vm.prank(SELLER);
        credits.setApprovalForAll(address(market), true);
        vm.prank(BUYER);
        krw.approve(address(market), 1e12);
        vm.prank(SELLER);
        market.list(ID, 5000, 70_000, EVER);
        note("list");
        vm.prank(BUYER);
        market.buy(1, ID, 2000, 70_000);
        note("buy a part, the first of both");
        vm.prank(BUYER);
        market.buy(1, ID, 2000, 70_000);
        note("buy another part");
        vm.prank(BUYER);
        market.buy(1, ID, 1000, 70_000);
        note("buy what is left");
        vm.prank(SELLER);
        market.list(ID, 5000, 70_000, EVER);
        vm.prank(SELLER);
        market.cancel(2);
        note("cancel");
    }

    function note(string memory name) private {
        emit log_named_uint(name, vm.snapshotGasLastCall("market", name));
    }
}
