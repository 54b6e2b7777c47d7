/**
 * SunSpec information models as tables: the points of each, in the order of their registers (github.com/sunspec/models).
 * Point: name, type, scale factor where it has one, registers where the type does not tell.
 */
export type PointType =
  | 'uint16'
  | 'int16'
  | 'enum16'
  | 'bitfield16'
  | 'acc16'
  | 'sunssf'
  | 'pad'
  | 'uint32'
  | 'int32'
  | 'enum32'
  | 'bitfield32'
  | 'acc32'
  | 'float32'
  | 'uint64'
  | 'int64'
  | 'acc64'
  | 'float64'
  | 'string';

export type Point = { name: string; type: PointType; words: number; sf: string | undefined; at: number };
export type ModelTable = readonly Point[];

/** Registers of a point, where the type tells. */
const words = (type: PointType): number => {
  const bits = Number(/\d+$/.exec(type)?.[0] ?? 16);
  return bits / 16;
};

/** `name:type`, `name:type:scale factor`, `name:string:registers`; with ID and L before them. */
function table(text: string): ModelTable {
  let at = 0;
  return `ID:uint16 L:uint16 ${text}`
    .trim()
    .split(/\s+/)
    .map((entry) => {
      const [name, type, third] = entry.split(':') as [string, PointType, string | undefined];
      const size = type === 'string' ? Number(third) : words(type);
      const point = { name, type, words: size, sf: type === 'string' ? undefined : third, at };
      at += size;
      return point;
    });
}

const phases = (text: string): string =>
  text.replace(/\S+\*\S*/g, (p) => ['A', 'B', 'C'].map((x) => p.replace('*', x)).join(' '));

/** Model 1: who made the device. */
const COMMON = table('Mn:string:16 Md:string:16 Opt:string:8 Vr:string:8 SN:string:16 DA:uint16 Pad:pad');

const EVENTS =
  'St:enum16 StVnd:enum16 Evt1:bitfield32 Evt2:bitfield32 EvtVnd1:bitfield32 EvtVnd2:bitfield32 EvtVnd3:bitfield32 EvtVnd4:bitfield32';

/** Models 101 to 103: inverter of one, split and three phases, integers with scale factors. */
const INVERTER = table(`
  A:uint16:A_SF AphA:uint16:A_SF AphB:uint16:A_SF AphC:uint16:A_SF A_SF:sunssf
  PPVphAB:uint16:V_SF PPVphBC:uint16:V_SF PPVphCA:uint16:V_SF
  PhVphA:uint16:V_SF PhVphB:uint16:V_SF PhVphC:uint16:V_SF V_SF:sunssf
  W:int16:W_SF W_SF:sunssf Hz:uint16:Hz_SF Hz_SF:sunssf VA:int16:VA_SF VA_SF:sunssf VAr:int16:VAr_SF VAr_SF:sunssf
  PF:int16:PF_SF PF_SF:sunssf WH:acc32:WH_SF WH_SF:sunssf
  DCA:uint16:DCA_SF DCA_SF:sunssf DCV:uint16:DCV_SF DCV_SF:sunssf DCW:int16:DCW_SF DCW_SF:sunssf
  TmpCab:int16:Tmp_SF TmpSnk:int16:Tmp_SF TmpTrns:int16:Tmp_SF TmpOt:int16:Tmp_SF Tmp_SF:sunssf ${EVENTS}`);

/** Models 111 to 113: the same in floats. */
const INVERTER_FLOAT = table(`
  A:float32 AphA:float32 AphB:float32 AphC:float32 PPVphAB:float32 PPVphBC:float32 PPVphCA:float32
  PhVphA:float32 PhVphB:float32 PhVphC:float32 W:float32 Hz:float32 VA:float32 VAr:float32 PF:float32 WH:float32
  DCA:float32 DCV:float32 DCW:float32 TmpCab:float32 TmpSnk:float32 TmpTrns:float32 TmpOt:float32 ${EVENTS}`);

/** Models 201 to 204: meter. They differ in what the models call the voltages between phases. */
const meter = (between: string): ModelTable =>
  table(
    phases(`
  A:int16:A_SF Aph*:int16:A_SF A_SF:sunssf
  PhV:int16:V_SF PhVph*:int16:V_SF
  PPV:int16:V_SF ${between}AB:int16:V_SF ${between}BC:int16:V_SF ${between}CA:int16:V_SF V_SF:sunssf
  Hz:int16:Hz_SF Hz_SF:sunssf W:int16:W_SF Wph*:int16:W_SF W_SF:sunssf
  VA:int16:VA_SF VAph*:int16:VA_SF VA_SF:sunssf VAR:int16:VAR_SF VARph*:int16:VAR_SF VAR_SF:sunssf
  PF:int16:PF_SF PFph*:int16:PF_SF PF_SF:sunssf
  TotWhExp:acc32:TotWh_SF TotWhExpPh*:acc32:TotWh_SF TotWhImp:acc32:TotWh_SF TotWhImpPh*:acc32:TotWh_SF TotWh_SF:sunssf
  TotVAhExp:acc32:TotVAh_SF TotVAhExpPh*:acc32:TotVAh_SF
  TotVAhImp:acc32:TotVAh_SF TotVAhImpPh*:acc32:TotVAh_SF TotVAh_SF:sunssf
  TotVArhImpQ1:acc32:TotVArh_SF TotVArhImpQ1Ph*:acc32:TotVArh_SF
  TotVArhImpQ2:acc32:TotVArh_SF TotVArhImpQ2Ph*:acc32:TotVArh_SF
  TotVArhExpQ3:acc32:TotVArh_SF TotVArhExpQ3Ph*:acc32:TotVArh_SF
  TotVArhExpQ4:acc32:TotVArh_SF TotVArhExpQ4Ph*:acc32:TotVArh_SF TotVArh_SF:sunssf Evt:bitfield32`),
  );

const phase701 = (n: number): string => `
  WL${n}:int16:W_SF VAL${n}:int16:VA_SF VarL${n}:int16:Var_SF PFL${n}:int16:PF_SF AL${n}:int16:A_SF
  VL${n}L${(n % 3) + 1}:uint16:V_SF VL${n}:uint16:V_SF
  TotWhInjL${n}:uint64:TotWh_SF TotWhAbsL${n}:uint64:TotWh_SF
  TotVarhInjL${n}:uint64:TotVarh_SF TotVarhAbsL${n}:uint64:TotVarh_SF`;

/** Model 701: what a distributed energy resource measures on its AC side (IEEE 1547-2018). */
const DER = table(`
  ACType:enum16 St:enum16 InvSt:enum16 ConnSt:enum16 Alrm:bitfield32 DERMode:bitfield32
  W:int16:W_SF VA:int16:VA_SF Var:int16:Var_SF PF:int16:PF_SF A:int16:A_SF LLV:uint16:V_SF LNV:uint16:V_SF
  Hz:uint32:Hz_SF TotWhInj:uint64:TotWh_SF TotWhAbs:uint64:TotWh_SF
  TotVarhInj:uint64:TotVarh_SF TotVarhAbs:uint64:TotVarh_SF
  TmpAmb:int16:Tmp_SF TmpCab:int16:Tmp_SF TmpSnk:int16:Tmp_SF TmpTrns:int16:Tmp_SF TmpSw:int16:Tmp_SF TmpOt:int16:Tmp_SF
  ${phase701(1)} ${phase701(2)} ${phase701(3)}
  ThrotPct:uint16 ThrotSrc:bitfield32
  A_SF:sunssf V_SF:sunssf Hz_SF:sunssf W_SF:sunssf PF_SF:sunssf VA_SF:sunssf Var_SF:sunssf
  TotWh_SF:sunssf TotVarh_SF:sunssf Tmp_SF:sunssf MnAlrmInfo:string:32`);

export const COMMON_ID = 1;

/** By the model's ID. */
export const MODELS: ReadonlyMap<number, ModelTable> = new Map([
  [COMMON_ID, COMMON],
  ...[101, 102, 103].map((id) => [id, INVERTER] as const),
  ...[111, 112, 113].map((id) => [id, INVERTER_FLOAT] as const),
  [201, meter('PPVph')],
  ...[202, 203, 204].map((id) => [id, meter('PhVph')] as const),
  [701, DER],
]);

/** Registers from ID to the last point. */
export const lengthOf = (model: ModelTable): number => model.reduce((sum, point) => sum + point.words, 0);
