// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Months of Korea, which is 9 hours ahead of UTC and has no summer time
/// @dev Counted from January 1970. Days to dates as in Howard Hinnant's "chrono-compatible low-level date algorithms".
library KstMonth {
    uint256 private constant AHEAD = 9 hours;

    /// @notice The month that a second since 1970 is in.
    function number(uint256 time) internal pure returns (uint256 month) {
        (month,) = _date((time + AHEAD) / 1 days);
    }

    /// @notice Whether it is the first second of its month.
    function isFirst(uint256 time) internal pure returns (bool) {
        (, uint256 day) = _date((time + AHEAD) / 1 days);
        return day == 1 && (time + AHEAD) % 1 days == 0;
    }

    /// @dev From a number of days since 1970-01-01 to months since then, and the day of the month from 1 on. Years begin in
    /// March here, so that the leap day is the last of its year; they are counted from the year 0.
    function _date(uint256 daysSince) private pure returns (uint256 month, uint256 day) {
        unchecked {
            uint256 z = daysSince + 719_468;
            uint256 era = z / 146_097;
            uint256 dayOfEra = z % 146_097;
            uint256 yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365;
            uint256 dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
            uint256 fromMarch = (5 * dayOfYear + 2) / 153;
            day = dayOfYear - (153 * fromMarch + 2) / 5 + 1;
            month = (era * 400 + yearOfEra) * 12 + fromMarch + 2 - 1970 * 12;
        }
    }
}
