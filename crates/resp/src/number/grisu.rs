//! Grisu2: the decimal digits that the real servers print for a double.
//!
//! They use the algorithm of Florian Loitsch ("Printing Floating-Point Numbers Quickly and Accurately with Integers",
//! 2010), whose digits always read back as the same double, but in one case of three hundred are not the shortest, or
//! not the nearest: `9.999999999999999e+22` for 1e23. To print the same text one has to make the same mistakes.

/// `fraction * 2^exponent`
#[derive(Clone, Copy)]
struct Scaled {
    fraction: u64,
    exponent: i32,
}

/// Bits of a double's fraction.
const FRACTION_BITS: u32 = 52;
/// What is added to the exponent of a double, and the bits of its fraction.
const BIAS: i32 = 1023 + 52;

impl Scaled {
    fn of(value: f64) -> Self {
        let bits = value.to_bits();
        let fraction = bits & ((1 << FRACTION_BITS) - 1);
        match i32::try_from(bits >> FRACTION_BITS & 0x7FF) {
            Ok(exponent) if exponent > 0 => {
                Self { fraction: fraction | 1 << FRACTION_BITS, exponent: exponent - BIAS }
            }
            _ => Self { fraction, exponent: 1 - BIAS },
        }
    }

    /// The same with the top bit set.
    fn normalized(self) -> Self {
        let up = self.fraction.leading_zeros();
        Self { fraction: self.fraction << up, exponent: self.exponent - up.cast_signed() }
    }

    /// The ends of the interval of numbers that round to this one, with one exponent, the upper one normalized.
    fn boundaries(self) -> (Self, Self) {
        let above = Self { fraction: (self.fraction << 1) + 1, exponent: self.exponent - 1 }.normalized();
        // Below a power of two the neighbours are nearer.
        let down = if self.fraction == 1 << FRACTION_BITS { 2 } else { 1 };
        let below = Self { fraction: (self.fraction << down) - 1, exponent: self.exponent - down };
        let shift = below.exponent - above.exponent;
        (Self { fraction: below.fraction << shift, exponent: above.exponent }, above)
    }

    /// The product, its upper 64 bits rounded.
    fn times(self, by: Self) -> Self {
        let product = u128::from(self.fraction) * u128::from(by.fraction) + (1 << 63);
        Self {
            fraction: u64::try_from(product >> 64).unwrap_or(u64::MAX),
            exponent: self.exponent + by.exponent + 64,
        }
    }
}

/// The digits of a positive, finite double as an integer, and the power of ten to multiply it by.
pub(super) fn digits(value: f64) -> (u64, i32) {
    let exact = Scaled::of(value);
    let (mut below, mut above) = exact.boundaries();
    let (power, tens) = power_for(above.exponent);
    let exact = exact.normalized().times(power);
    (below, above) = (below.times(power), above.times(power));
    below.fraction += 1;
    above.fraction -= 1;
    let (found, scale) = generate(exact, above, above.fraction - below.fraction);
    (found, scale - tens)
}

/// Takes digits of `above` until what is left lies within `delta`; answers them, and the power of ten of the last.
fn generate(exact: Scaled, above: Scaled, mut delta: u64) -> (u64, i32) {
    let bits = above.exponent.unsigned_abs();
    let one = 1_u64 << bits;
    let distance = above.fraction - exact.fraction;
    let (mut whole, mut part) = (above.fraction >> bits, above.fraction & (one - 1));
    let mut found = 0;
    for scale in (0..10).rev() {
        let unit = 10_u64.pow(scale);
        found = found * 10 + whole / unit;
        whole %= unit;
        let rest = (whole << bits) + part;
        if rest <= delta {
            return (nearer(found, delta, rest, unit << bits, distance), scale.cast_signed());
        }
    }
    let (mut unit, mut scale) = (1_u64, 0);
    loop {
        part = part.wrapping_mul(10);
        delta = delta.wrapping_mul(10);
        unit = unit.wrapping_mul(10);
        scale -= 1;
        found = found * 10 + (part >> bits);
        part &= one - 1;
        if part < delta || scale < -18 {
            return (nearer(found, delta, part, one, distance.wrapping_mul(unit)), scale);
        }
    }
}

/// Takes from the last digit while that brings the number nearer to the exact one.
fn nearer(mut found: u64, delta: u64, mut rest: u64, unit: u64, distance: u64) -> u64 {
    while rest < distance
        && delta - rest >= unit
        && (rest + unit < distance || distance - rest > rest + unit - distance)
    {
        found -= 1;
        rest += unit;
    }
    found
}

const FIRST_POWER: i32 = -348;
const STEP: i32 = 8;

/// The power of ten that brings a number of this exponent to one between -60 and -32, and its exponent. Where two
/// do, which one is taken shows in the digits.
fn power_for(exponent: i32) -> (Scaled, i32) {
    #[expect(clippy::cast_possible_truncation, reason = "between -348 and 340")]
    let about = (-f64::from(exponent + 87) * 0.301_029_995_663_981_14) as i32;
    let mut index = usize::try_from((about - FIRST_POWER) / STEP).unwrap_or(0);
    loop {
        let (fraction, of_power) = POWERS.get(index).copied().unwrap_or_default();
        let power = Scaled { fraction, exponent: of_power.into() };
        match exponent + power.exponent + 64 {
            ..-60 if index + 1 < POWERS.len() => index += 1,
            -31.. if index > 0 => index -= 1,
            _ => return (power, FIRST_POWER + STEP * i32::try_from(index).unwrap_or(0)),
        }
    }
}

/// 10^-348, 10^-340, ... 10^340: a fraction of 64 bits, rounded, and the exponent of two.
static POWERS: [(u64, i16); 87] = [
    (0xFA8F_D5A0_081C_0288, -1220),
    (0xBAAE_E17F_A23E_BF76, -1193),
    (0x8B16_FB20_3055_AC76, -1166),
    (0xCF42_894A_5DCE_35EA, -1140),
    (0x9A6B_B0AA_5565_3B2D, -1113),
    (0xE61A_CF03_3D1A_45DF, -1087),
    (0xAB70_FE17_C79A_C6CA, -1060),
    (0xFF77_B1FC_BEBC_DC4F, -1034),
    (0xBE56_91EF_416B_D60C, -1007),
    (0x8DD0_1FAD_907F_FC3C, -980),
    (0xD351_5C28_3155_9A83, -954),
    (0x9D71_AC8F_ADA6_C9B5, -927),
    (0xEA9C_2277_23EE_8BCB, -901),
    (0xAECC_4991_4078_536D, -874),
    (0x823C_1279_5DB6_CE57, -847),
    (0xC210_9436_4DFB_5637, -821),
    (0x9096_EA6F_3848_984F, -794),
    (0xD774_85CB_2582_3AC7, -768),
    (0xA086_CFCD_97BF_97F4, -741),
    (0xEF34_0A98_172A_ACE5, -715),
    (0xB238_67FB_2A35_B28E, -688),
    (0x84C8_D4DF_D2C6_3F3B, -661),
    (0xC5DD_4427_1AD3_CDBA, -635),
    (0x936B_9FCE_BB25_C996, -608),
    (0xDBAC_6C24_7D62_A584, -582),
    (0xA3AB_6658_0D5F_DAF6, -555),
    (0xF3E2_F893_DEC3_F126, -529),
    (0xB5B5_ADA8_AAFF_80B8, -502),
    (0x8762_5F05_6C7C_4A8B, -475),
    (0xC9BC_FF60_34C1_3053, -449),
    (0x964E_858C_91BA_2655, -422),
    (0xDFF9_7724_7029_7EBD, -396),
    (0xA6DF_BD9F_B8E5_B88F, -369),
    (0xF8A9_5FCF_8874_7D94, -343),
    (0xB944_7093_8FA8_9BCF, -316),
    (0x8A08_F0F8_BF0F_156B, -289),
    (0xCDB0_2555_6531_31B6, -263),
    (0x993F_E2C6_D07B_7FAC, -236),
    (0xE45C_10C4_2A2B_3B06, -210),
    (0xAA24_2499_6973_92D3, -183),
    (0xFD87_B5F2_8300_CA0E, -157),
    (0xBCE5_0864_9211_1AEB, -130),
    (0x8CBC_CC09_6F50_88CC, -103),
    (0xD1B7_1758_E219_652C, -77),
    (0x9C40_0000_0000_0000, -50),
    (0xE8D4_A510_0000_0000, -24),
    (0xAD78_EBC5_AC62_0000, 3),
    (0x813F_3978_F894_0984, 30),
    (0xC097_CE7B_C907_15B3, 56),
    (0x8F7E_32CE_7BEA_5C70, 83),
    (0xD5D2_38A4_ABE9_8068, 109),
    (0x9F4F_2726_179A_2245, 136),
    (0xED63_A231_D4C4_FB27, 162),
    (0xB0DE_6538_8CC8_ADA8, 189),
    (0x83C7_088E_1AAB_65DB, 216),
    (0xC45D_1DF9_4271_1D9A, 242),
    (0x924D_692C_A61B_E758, 269),
    (0xDA01_EE64_1A70_8DEA, 295),
    (0xA26D_A399_9AEF_774A, 322),
    (0xF209_787B_B47D_6B85, 348),
    (0xB454_E4A1_79DD_1877, 375),
    (0x865B_8692_5B9B_C5C2, 402),
    (0xC835_53C5_C896_5D3D, 428),
    (0x952A_B45C_FA97_A0B3, 455),
    (0xDE46_9FBD_99A0_5FE3, 481),
    (0xA59B_C234_DB39_8C25, 508),
    (0xF6C6_9A72_A398_9F5C, 534),
    (0xB7DC_BF53_54E9_BECE, 561),
    (0x88FC_F317_F222_41E2, 588),
    (0xCC20_CE9B_D35C_78A5, 614),
    (0x9816_5AF3_7B21_53DF, 641),
    (0xE2A0_B5DC_971F_303A, 667),
    (0xA8D9_D153_5CE3_B396, 694),
    (0xFB9B_7CD9_A4A7_443C, 720),
    (0xBB76_4C4C_A7A4_4410, 747),
    (0x8BAB_8EEF_B640_9C1A, 774),
    (0xD01F_EF10_A657_842C, 800),
    (0x9B10_A4E5_E991_3129, 827),
    (0xE710_9BFB_A19C_0C9D, 853),
    (0xAC28_20D9_623B_F429, 880),
    (0x8044_4B5E_7AA7_CF85, 907),
    (0xBF21_E440_03AC_DD2D, 933),
    (0x8E67_9C2F_5E44_FF8F, 960),
    (0xD433_179D_9C8C_B841, 986),
    (0x9E19_DB92_B4E3_1BA9, 1013),
    (0xEB96_BF6E_BADF_77D9, 1039),
    (0xAF87_023B_9BF0_EE6B, 1066),
];
