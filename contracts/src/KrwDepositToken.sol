// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title KrwDepositToken: a MOCK of a bank's deposit token, or of a CBDC pilot's
/// @notice No bank stands behind it and nobody pays won for it. It is here so that a trade of credits (Market) has
/// something to be paid in, as a bank's tokenised deposits or a central bank's pilot money would be: a plain ERC-20, that a
/// bank issues against deposits and takes back.
/// @dev A won has no minor unit, but a Wh costs less than a won: one won is 1,000,000 base units, so that a price per Wh
/// is a whole number of them (70 won for a kWh are 70,000 for a Wh).
contract KrwDepositToken is ERC20, AccessControl {
    /// @notice May issue tokens, and burn those that came back to it.
    bytes32 public constant BANK_ROLE = keccak256("BANK_ROLE");

    /// @param bank Holds the admin role, and is the first to hold BANK_ROLE.
    constructor(address bank) ERC20("MOCK KRW deposit token", "mockKRW") {
        _grantRole(DEFAULT_ADMIN_ROLE, bank);
        _grantRole(BANK_ROLE, bank);
    }

    /// @notice Issues tokens, as against a deposit of so many won.
    /// @param amount In base units, as everywhere here: 1,000,000 are one won.
    function mint(address to, uint256 amount) external onlyRole(BANK_ROLE) {
        _mint(to, amount);
    }

    /// @notice Burns tokens of the bank's own: whoever redeems theirs sends them to the bank, which takes them from nobody.
    function burn(uint256 amount) external onlyRole(BANK_ROLE) {
        _burn(msg.sender, amount);
    }

    /// @notice 6: one won is 1,000,000 base units.
    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
