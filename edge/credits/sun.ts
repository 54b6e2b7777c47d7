/**
 * Where the sun stands, by the formulas of NOAA's solar calculator (after Meeus, Astronomical Algorithms): good to a
 * minute of time between 1900 and 2100, far better than "energy at night" needs, so that no package is needed for it.
 */
import type { Place } from './types.ts';

const rad = (degrees: number): number => (degrees * Math.PI) / 180;
const deg = (radians: number): number => (radians * 180) / Math.PI;
const sin = (degrees: number): number => Math.sin(rad(degrees));
const cos = (degrees: number): number => Math.cos(rad(degrees));

/** The upper edge of the disc is at the horizon, with the refraction that is usual there. */
export const HORIZON = -0.833;
/** Between two looks the sun moves by 2.5 degrees at most. */
const LOOK_SECONDS = 600;

/** Degrees above the horizon of the centre of the sun, without refraction. @param second Unix time */
export function sunElevation(second: number, { lat, lon }: Place): number {
  const century = (second / 86_400 + 2_440_587.5 - 2_451_545) / 36_525;
  const meanLongitude = 280.46646 + century * (36_000.76983 + century * 0.0003032);
  const anomaly = 357.52911 + century * (35_999.05029 - century * 0.0001537);
  const eccentricity = 0.016708634 - century * (0.000042037 + century * 0.0000001267);
  const centre =
    sin(anomaly) * (1.914602 - century * (0.004817 + century * 0.000014)) +
    sin(2 * anomaly) * (0.019993 - century * 0.000101) +
    sin(3 * anomaly) * 0.000289;
  const node = 125.04 - 1934.136 * century;
  const longitude = meanLongitude + centre - 0.00569 - 0.00478 * sin(node);
  const tilt =
    23 +
    (26 + (21.448 - century * (46.815 + century * (0.00059 - century * 0.001813))) / 60) / 60 +
    0.00256 * cos(node);
  const declination = deg(Math.asin(sin(tilt) * sin(longitude)));
  const y = Math.tan(rad(tilt / 2)) ** 2;
  const equationOfTime =
    4 *
    deg(
      y * sin(2 * meanLongitude) -
        2 * eccentricity * sin(anomaly) +
        4 * eccentricity * y * sin(anomaly) * cos(2 * meanLongitude) -
        0.5 * y * y * sin(4 * meanLongitude) -
        1.25 * eccentricity * eccentricity * sin(2 * anomaly),
    );
  const minutes = (second % 86_400) / 60 + equationOfTime + 4 * lon;
  const hourAngle = minutes / 4 - 180;
  return deg(Math.asin(sin(lat) * sin(declination) + cos(lat) * cos(declination) * cos(hourAngle)));
}

/** How high the sun gets in [from, until], in degrees. */
export function highestSun(from: number, until: number, place: Place): number {
  let highest = -90;
  for (let second = from; second < until; second += LOOK_SECONDS)
    highest = Math.max(highest, sunElevation(second, place));
  return Math.max(highest, sunElevation(until, place));
}
