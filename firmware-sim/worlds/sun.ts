/**
 * Where the sun stands, after the NOAA solar calculator (gml.noaa.gov/grad/solcalc/calcdetails.html), which follows
 * J. Meeus, Astronomical Algorithms, chapter 25. Within 0.02 degrees of NREL's SPA for this century; no refraction.
 */
const RAD = Math.PI / 180;

export type Place = { latitude: number; longitude: number };

/** Sejong City, near the government complex. */
export const SEJONG: Place = { latitude: 36.48, longitude: 127.29 };

/** Elevation of the sun's centre above the horizon, in degrees. @param ms Unix time; @param place degrees north, east */
export function sunElevation(ms: number, { latitude, longitude }: Place): number {
  const t = (ms / 86_400_000 + 2_440_587.5 - 2_451_545) / 36_525; // Julian centuries since J2000
  const meanLongitude = (280.46646 + t * (36_000.76983 + t * 0.0003032)) * RAD;
  const anomaly = (357.52911 + t * (35_999.05029 - t * 0.0001537)) * RAD;
  const eccentricity = 0.016708634 - t * (0.000042037 + t * 0.0000001267);
  const center =
    Math.sin(anomaly) * (1.914602 - t * (0.004817 + t * 0.000014)) +
    Math.sin(2 * anomaly) * (0.019993 - t * 0.000101) +
    Math.sin(3 * anomaly) * 0.000289;
  const node = (125.04 - 1934.136 * t) * RAD;
  const apparentLongitude = meanLongitude + (center - 0.00569 - 0.00478 * Math.sin(node)) * RAD;
  const obliquity =
    (23 + (26 + (21.448 - t * (46.815 + t * (0.00059 - t * 0.001813))) / 60) / 60 + 0.00256 * Math.cos(node)) * RAD;
  const declination = Math.asin(Math.sin(obliquity) * Math.sin(apparentLongitude));
  const y = Math.tan(obliquity / 2) ** 2;
  const equationOfTime =
    (4 / RAD) * // minutes
    (y * Math.sin(2 * meanLongitude) -
      2 * eccentricity * Math.sin(anomaly) +
      4 * eccentricity * y * Math.sin(anomaly) * Math.cos(2 * meanLongitude) -
      0.5 * y * y * Math.sin(4 * meanLongitude) -
      1.25 * eccentricity * eccentricity * Math.sin(2 * anomaly));
  const trueSolarMinutes = ((ms / 60_000) % 1440) + equationOfTime + 4 * longitude;
  const hourAngle = (trueSolarMinutes / 4 - 180) * RAD;
  const phi = latitude * RAD;
  return (
    Math.asin(Math.sin(phi) * Math.sin(declination) + Math.cos(phi) * Math.cos(declination) * Math.cos(hourAngle)) / RAD
  );
}
