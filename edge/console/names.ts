/** What the names of readings and device kinds are called by people. The name itself is always shown or pointed at, too. */
import { energy, number, short } from './format.ts';
import { type Lang, lang } from './words.ts';

type Both = Record<Lang, string>;
const both = (en: string, ko: string): Both => ({ en, ko });

const VALUES: Record<string, Both> = {
  '1-0:1.8.0': both('Energy taken', '수전 전력량'),
  '1-0:2.8.0': both('Energy delivered', '송전 전력량'),
  '1-0:16.7.0': both('Power', '전력'),
  '1-0:1.7.0': both('Power taken', '수전 전력'),
  '1-0:2.7.0': both('Power delivered', '송전 전력'),
  '1-0:14.7.0': both('Frequency', '주파수'),
  '1-0:32.7.0': both('Voltage L1', '전압 L1'),
  '1-0:52.7.0': both('Voltage L2', '전압 L2'),
  '1-0:72.7.0': both('Voltage L3', '전압 L3'),
  '1-0:31.7.0': both('Current L1', '전류 L1'),
  '1-0:51.7.0': both('Current L2', '전류 L2'),
  '1-0:71.7.0': both('Current L3', '전류 L3'),
  '1-0:0.0.0': both('Serial number', '기물 번호'),
  '7-0:3.0.0': both('Gas', '가스'),
  '8-0:1.0.0': both('Water', '수도'),
  'Vehicle.Speed': both('Speed', '속도'),
  'Vehicle.TraveledDistance': both('Distance travelled', '주행 거리'),
  'Vehicle.CurrentLocation.Latitude': both('Latitude', '위도'),
  'Vehicle.CurrentLocation.Longitude': both('Longitude', '경도'),
  'Vehicle.CurrentLocation.Altitude': both('Altitude', '고도'),
  'Vehicle.CurrentLocation.Heading': both('Heading', '방위'),
  'Vehicle.CurrentLocation.HorizontalAccuracy': both('Accuracy of the position', '위치 정확도'),
  'Vehicle.CurrentLocation.Timestamp': both('Time of the position', '위치 시각'),
  'Vehicle.Powertrain.TractionBattery.StateOfCharge.Current': both('State of charge', '충전율'),
  'Vehicle.Powertrain.FuelSystem.RelativeLevel': both('Fuel level', '연료량'),
  'Vehicle.VehicleIdentification.VIN': both('VIN', '차대번호'),
  'donations.total': both('Donations in all', '기부금 합계'),
  'donations.count': both('Donations', '기부 건수'),
  'donations.campaign': both('Campaign', '캠페인'),
  'ballots.valid': both('Valid ballots', '유효표'),
  'ballots.invalid': both('Invalid ballots', '무효표'),
  'ballots.undecided': both('Ballots to look at', '판정 대기표'),
  'ballots.counted': both('Ballots counted', '개표수'),
  'seal.broken': both('Seal broken', '봉인 파손'),
  'box.open': both('Box open', '함 열림'),
  temperature: both('Temperature', '온도'),
};
const SUNSPEC: Record<string, Both> = {
  A: both('Current', '전류'),
  Hz: both('Frequency', '주파수'),
  PhVphA: both('Voltage L1', '전압 L1'),
  PhVphB: both('Voltage L2', '전압 L2'),
  PhVphC: both('Voltage L3', '전압 L3'),
  TmpCab: both('Cabinet temperature', '함체 온도'),
  St: both('State of operation', '운전 상태'),
  WH_SF: both('Scale of the register', '계기 배율'),
};
const KINDS: Record<string, Both> = {
  meter: both('Meter', '계량기'),
  plant: both('Plant', '발전소'),
  inverter: both('Inverter', '인버터'),
  storage: both('Storage', '저장 설비'),
  charger: both('Charger', '충전기'),
  vehicle: both('Vehicle', '차량'),
  sensor: both('Sensor', '센서'),
  gateway: both('Gateway', '게이트웨이'),
  'donation-kiosk': both('Donation kiosk', '기부 키오스크'),
  'ballot-counter': both('Ballot counter', '개표기'),
};
const UNITS: Record<string, string> = { Cel: '°C', m3: 'm³', lat: '°', lon: '°', deg: '°', count: '', KRW: '₩' };

export const nameOf = (name: string): string =>
  (VALUES[name] ?? SUNSPEC[name.replace(/^sunspec:\d+\./, '')])?.[lang.value] ?? name;
export const kindOf = (kind: string): string => KINDS[kind]?.[lang.value] ?? kind;
export const unitOf = (unit: string | null | undefined): string => (unit ? (UNITS[unit] ?? unit) : '');

/** A value with its unit, as exact as a glance needs; its exact form is {@link exact}. */
export function glance(v: number | string | boolean, u: string | null | undefined): string {
  if (typeof v !== 'number') return String(v);
  if (u === 'Wh') return energy(v);
  if (u === 'W' && Math.abs(v) >= 1000) return `${number(v / 1000, 2)} kW`;
  if (u === 'lat' || u === 'lon') return `${number(v, 5)}°`;
  const unit = unitOf(u);
  return `${short(v)}${unit && unit !== '°' ? ' ' : ''}${unit}`;
}

export const exact = (v: number | string | boolean, u: string | null | undefined): string =>
  typeof v === 'number' ? `${number(v, 9)} ${unitOf(u)}`.trim() : String(v);
