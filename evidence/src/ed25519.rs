//! Strict Ed25519 verification (RFC 8032 §5.1.7 without cofactor), with what a verifier can compute once
//! for a key that it meets again and again.
//!
//! The accepted set is exactly that of `ed25519_dalek::VerifyingKey::verify_strict`: S below the group's
//! order, neither key nor R of small order, and `S·B − k·A` *encodes* to the signature's R. The last
//! comparison is over bytes, so R need not be decompressed: an R that is no canonical encoding of a point
//! equals no encoding. `tests` compares both on honest, altered, small-order, mixed-order and
//! non-canonical input.
//!
//! Nothing here is secret, so nothing needs to take the same time for every input.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use sha2::{Digest, Sha512};
use std::sync::{Arc, LazyLock};

/// A key that is a point of the curve and not of small order.
#[derive(Clone, Debug)]
pub struct StrictKey {
    bytes: [u8; 32],
    negated: EdwardsPoint,
}

impl StrictKey {
    /// The key with this encoding, if it is usable.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let point = CompressedEdwardsY(*bytes).decompress()?;
        (!point.is_small_order()).then(|| Self { bytes: *bytes, negated: -point })
    }

    /// The same, much faster for many signatures of this key.
    pub fn prepare(&self) -> PreparedKey {
        PreparedKey { multiples: Multiples::of(&self.negated), bytes: self.bytes }
    }
}

/// A key with a table of its multiples, about 75 KiB.
#[derive(Debug)]
pub struct PreparedKey {
    bytes: [u8; 32],
    multiples: KeyMultiples,
}

/// A key that signatures are verified with.
#[derive(Clone, Debug)]
pub enum Key {
    /// As it is.
    Plain(StrictKey),
    /// With a table.
    Prepared(Arc<PreparedKey>),
}

impl Key {
    /// Does `signature` by this key cover `message`?
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        verdicts(&[self.claim(message, signature)]) == [true]
    }

    /// That it does, to be verified with others by [`verdicts`]. None: it has no S below the group's order.
    pub fn claim(&self, message: &[u8], signature: &[u8; 64]) -> Option<Claim> {
        let (r, s) = signature.split_at(32);
        let r = <[u8; 32]>::try_from(r).ok()?;
        let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(<[u8; 32]>::try_from(s).ok()?))?;
        let wide = Sha512::new().chain_update(r).chain_update(self.bytes()).chain_update(message).finalize();
        Some(Claim { key: self.clone(), r, k: Scalar::from_bytes_mod_order_wide(&wide.into()), s })
    }

    fn bytes(&self) -> &[u8; 32] {
        match self {
            Self::Plain(key) => &key.bytes,
            Self::Prepared(key) => &key.bytes,
        }
    }
}

/// That a signature covers a message: `s·B − k·A` must encode to `r`.
#[derive(Clone, Debug)]
pub struct Claim {
    key: Key,
    r: [u8; 32],
    k: Scalar,
    s: Scalar,
}

/// Which of these claims are true? Each has its own equation and verdict, the same as alone, but the work goes through
/// the tables row by row for all of them; and a point is encoded by a division, which costs a fifth of a verification,
/// while many points are encoded with one.
pub fn verdicts(claims: &[Option<Claim>]) -> Vec<bool> {
    let given: Vec<&Claim> = claims.iter().flatten().collect();
    let points = points(&given);
    let encodings = match points[..] {
        // The library would divide one by one.
        [] => vec![],
        [point] => vec![point.compress()],
        _ => EdwardsPoint::compress_batch_alloc(&points),
    };
    let holds =
        |(claim, encoding): (&&Claim, CompressedEdwardsY)| encoding.0 == claim.r && !SMALL_ORDER.contains(&encoding);
    let mut holding = given.iter().zip(encodings).map(holds);
    claims.iter().map(|claim| claim.is_some() && holding.next() == Some(true)).collect()
}

/// The encodings of the points of small order.
static SMALL_ORDER: LazyLock<[CompressedEdwardsY; 8]> = LazyLock::new(|| EIGHT_TORSION.map(|point| point.compress()));

/// `s·B − k·A` of each.
fn points(claims: &[&Claim]) -> Vec<EdwardsPoint> {
    let mut points = vec![EdwardsPoint::identity(); claims.len()];
    let mut prepared: Vec<(usize, Product<'_>)> = vec![];
    for (i, Claim { key, k, s, .. }) in claims.iter().enumerate() {
        match key {
            Key::Plain(key) => points[i] = EdwardsPoint::vartime_double_scalar_mul_basepoint(k, &key.negated, s),
            Key::Prepared(key) => prepared.push((i, Product { key, k, s })),
        }
    }
    // Those of one key side by side, so that they use the same rows at the same time.
    prepared.sort_by_key(|(_, product)| product.key.bytes);
    for some in prepared.chunks(TOGETHER) {
        let (places, products): (Vec<usize>, Vec<Product<'_>>) = some.iter().copied().unzip();
        for (place, sum) in places.into_iter().zip(sums(&products)) {
            points[place] = sum;
        }
    }
    points
}

/// `s·B − k·A` of a prepared key, to be computed.
#[derive(Clone, Copy)]
struct Product<'c> {
    key: &'c PreparedKey,
    k: &'c Scalar,
    s: &'c Scalar,
}

/// Sums that are computed together: they stay in the innermost cache, beside a row of a table.
const TOGETHER: usize = 64;
/// Multiples that are read ahead of the additions.
const AHEAD: usize = 16;
/// Bits between two steps of the doublings that all terms of a sum share; every table's width is a multiple.
const STEP: usize = 3;

/// The products, one after the other. All that a row of a table is needed for comes at once, so that rows are read
/// from the innermost cache, and independent additions follow one another.
fn sums(products: &[Product<'_>]) -> Vec<EdwardsPoint> {
    let by_key: Vec<_> = products.iter().map(|product| KeyMultiples::digits(product.k)).collect();
    let by_base: Vec<_> = products.iter().map(|product| BaseMultiples::digits(product.s)).collect();
    let mut sums = vec![EdwardsPoint::identity(); products.len()];
    let most = KeyMultiples::SHIFT.max(BaseMultiples::SHIFT);
    for shift in (0..=most / STEP).rev().map(|step| step * STEP) {
        if shift < most {
            for sum in &mut sums {
                // 2^STEP times.
                *sum = sum.mul_by_cofactor();
            }
        }
        let mut rest = (&mut sums[..], &by_key[..]);
        for one_key in products.chunk_by(|a, b| std::ptr::eq(a.key, b.key)) {
            let (sums, others) = std::mem::take(&mut rest.0).split_at_mut(one_key.len());
            let (digits, other_digits) = rest.1.split_at(one_key.len());
            if let [Product { key, .. }, ..] = one_key {
                key.multiples.add(shift, digits, sums);
            }
            rest = (others, other_digits);
        }
        BASE.add(shift, &by_base, &mut sums);
    }
    sums
}

/// A key's: 75 KiB that are made in 0.1 ms.
type KeyMultiples = Multiples<6, 3>;
/// The base point's, one for all: 600 KiB, fewer additions.
type BaseMultiples = Multiples<9, 2>;

/// Multiples of the base point, made when they are first needed.
static BASE: LazyLock<BaseMultiples> = LazyLock::new(|| Multiples::of(&ED25519_BASEPOINT_POINT));

/// `d · 2^(WIDTH·STRIDE·i) · P` for every row `i` and `1 ≤ d ≤ DIGIT`. More bits of a digit (`WIDTH`) make fewer
/// additions, but larger tables; digits that share a row (`STRIDE`) make it smaller, for `WIDTH` doublings each.
#[derive(Debug)]
struct Multiples<const WIDTH: usize, const STRIDE: usize>(Vec<EdwardsPoint>);

impl<const WIDTH: usize, const STRIDE: usize> Multiples<WIDTH, STRIDE> {
    /// Digits of a scalar (below 2^253).
    const DIGITS: usize = 254_usize.div_ceil(WIDTH);
    /// A signed digit's greatest absolute value.
    const DIGIT: usize = 1 << (WIDTH - 1);
    /// Rows of a table.
    const ROWS: usize = Self::DIGITS.div_ceil(STRIDE);
    /// By how many bits the last of the digits that share a row is shifted.
    const SHIFT: usize = WIDTH * (STRIDE - 1);

    fn of(point: &EdwardsPoint) -> Self {
        const { assert!(WIDTH.is_multiple_of(STEP) && WIDTH <= 9, "digits begin at steps and are read from two bytes") };
        let mut table = Vec::with_capacity(Self::ROWS * Self::DIGIT);
        let mut unit = *point;
        for _ in 0..Self::ROWS {
            let mut multiple = unit;
            for _ in 0..Self::DIGIT {
                table.push(multiple);
                multiple += unit;
            }
            for _ in 0..WIDTH * STRIDE / STEP {
                unit = unit.mul_by_cofactor();
            }
        }
        Self(table)
    }

    /// The scalar as signed digits in base 2^`WIDTH`, the least significant first, from `1 − DIGIT` to `DIGIT`.
    fn digits(scalar: &Scalar) -> Vec<i16> {
        let bytes = scalar.as_bytes();
        let mut carry = 0;
        let digit = |i| {
            let (byte, shift) = (i * WIDTH / 8, i * WIDTH % 8);
            let low = bytes.get(byte).copied().unwrap_or(0);
            let high = bytes.get(byte + 1).copied().unwrap_or(0);
            let bits = (u16::from_le_bytes([low, high]) >> shift) & ((1 << WIDTH) - 1);
            let digit = carry + i16::try_from(bits).expect("at most nine bits");
            // Scalars are below 2^253, so nothing is carried out of the last digit.
            carry = i16::from(usize::from(digit.unsigned_abs()) > Self::DIGIT);
            digit - (carry << WIDTH)
        };
        (0..Self::DIGITS).map(digit).collect()
    }

    /// Adds to each sum what its digits select among those that are shifted by `shift`.
    fn add(&self, shift: usize, digits: &[Vec<i16>], sums: &mut [EdwardsPoint]) {
        if !shift.is_multiple_of(WIDTH) || shift > Self::SHIFT {
            return;
        }
        let shared = shift / WIDTH;
        let mut picked = Vec::with_capacity(AHEAD);
        for (row, i) in self.0.chunks_exact(Self::DIGIT).zip((shared..Self::DIGITS).step_by(STRIDE)) {
            for (sums, digits) in sums.chunks_mut(AHEAD).zip(digits.chunks(AHEAD)) {
                // Read before anything is added: reads that do not wait for additions overlap.
                picked.clear();
                picked.extend(digits.iter().map(|digits| row[usize::from(digits[i].unsigned_abs()).saturating_sub(1)]));
                for ((sum, multiple), digits) in sums.iter_mut().zip(&picked).zip(digits) {
                    match digits[i] {
                        0 => {}
                        1.. => *sum += multiple,
                        _ => *sum -= multiple,
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use curve25519_dalek::traits::IsIdentity;
    use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

    /// What this module promises to equal.
    fn oracle(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(key)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }

    /// All four verdicts; they must agree.
    fn verdict(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let expected = oracle(key, message, signature);
        let plain = StrictKey::from_bytes(key);
        let prepared = plain.as_ref().map(|key| Key::Prepared(Arc::new(key.prepare())));
        let plain = plain.map(Key::Plain);
        let alone = |key: &Option<Key>| key.as_ref().is_some_and(|key| key.verify(message, signature));
        let found = (alone(&plain), alone(&prepared));
        assert_eq!(found, (expected, expected), "{} {}", hex::encode(key), hex::encode(signature));
        // Among others, of which one has no S and some are wrong.
        let this = |key: Option<Key>| key.and_then(|key| key.claim(message, signature));
        let (plain, prepared) = (this(plain), this(prepared));
        let [(good, bad), (rapid, wrong)] = [Key::Plain(OTHER.0.clone()), Key::Prepared(OTHER.1.clone())].map(|key| {
            let signature = SigningKey::from_bytes(&[3; 32]).sign(b"other").to_bytes();
            (key.claim(b"other", &signature), key.claim(b"another", &signature))
        });
        let together = [good.clone(), rapid.clone(), None, plain, bad, prepared, wrong, rapid, good];
        assert_eq!(verdicts(&together), [true, true, false, expected, false, expected, false, true, true]);
        expected
    }

    static OTHER: LazyLock<(StrictKey, Arc<PreparedKey>)> = LazyLock::new(|| {
        let key = StrictKey::from_bytes(&SigningKey::from_bytes(&[3; 32]).verifying_key().to_bytes()).unwrap();
        let prepared = Arc::new(key.prepare());
        (key, prepared)
    });

    /// Deterministic bytes.
    fn bytes(seed: u64) -> [u8; 64] {
        Sha512::digest(seed.to_be_bytes()).into()
    }

    /// A scalar.
    fn scalar(seed: u64) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&bytes(seed))
    }

    /// Encodings of small-order points, the non-canonical ones included (y + p where it fits).
    fn small_order() -> Vec<[u8; 32]> {
        let mut all: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
        for low in [0xed, 0xee] {
            for high in [0x7f, 0xff] {
                let mut non_canonical = [0xff; 32];
                (non_canonical[0], non_canonical[31]) = (low, high);
                all.push(non_canonical);
            }
        }
        let mut negative_zero = [0u8; 32];
        (negative_zero[0], negative_zero[31]) = (1, 0x80);
        all.push(negative_zero);
        all
    }

    #[test]
    fn multiples_are_multiples() {
        let edges = [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::from(256u16), Scalar::from(257u16)];
        let scalars: Vec<Scalar> = (0..200).map(scalar).chain(edges).collect();
        let keys = [1, 2, 3].map(|seed| {
            let negated = EdwardsPoint::mul_base(&scalar(seed));
            PreparedKey { bytes: negated.compress().0, multiples: Multiples::of(&negated) }
        });
        let owner = |i: usize| &keys[i * i % 3];
        let products: Vec<Product<'_>> = scalars
            .iter()
            .zip(scalars.iter().rev())
            .enumerate()
            .map(|(i, (k, s))| Product { key: owner(i), k, s })
            .collect();
        for (sum, Product { key, k, s }) in sums(&products).into_iter().zip(&products) {
            let point = CompressedEdwardsY(key.bytes).decompress().unwrap();
            assert_eq!(sum, EdwardsPoint::mul_base(s) + point * *k);
        }
        let nothing = Product { key: &keys[0], k: &Scalar::ZERO, s: &Scalar::ZERO };
        assert!(sums(&[nothing])[0].is_identity());
        assert!(sums(&[]).is_empty());
    }

    #[test]
    fn honest_and_altered_signatures() {
        let (mut accepted, mut refused) = (0, 0);
        for seed in 0..24u64 {
            let key = SigningKey::from_bytes(bytes(seed)[..32].try_into().unwrap());
            let public = key.verifying_key().to_bytes();
            let message = bytes(seed + 1000);
            let signature = key.sign(&message).to_bytes();
            accepted += u32::from(verdict(&public, &message, &signature));
            for bit in [0usize, 7, 130, 255, 256, 300, 505, 508, 511] {
                let mut altered = signature;
                altered[bit / 8] ^= 1 << (bit % 8);
                refused += u32::from(!verdict(&public, &message, &altered));
            }
            refused += u32::from(!verdict(&public, &message[1..], &signature));
        }
        assert_eq!((accepted, refused), (24, 240));
    }

    #[test]
    fn small_and_mixed_orders_and_encodings_that_are_not_canonical() {
        let honest = SigningKey::from_bytes(&[5; 32]);
        let mut accepted = 0;
        let message = b"message";
        for r in small_order() {
            for key in small_order().into_iter().chain([honest.verifying_key().to_bytes()]) {
                for s in [[0u8; 32], Scalar::ONE.to_bytes(), scalar(9).to_bytes()] {
                    accepted += u32::from(verdict(&key, message, &[r, s].concat().try_into().unwrap()));
                }
            }
        }
        assert_eq!(accepted, 0);
        // R = r·B + T and A = a·B + T': whether the cofactorless equation holds depends on the challenge.
        let secret = scalar(1);
        for (i, torsion) in EIGHT_TORSION.iter().enumerate() {
            for other in EIGHT_TORSION {
                let nonce = scalar(10 + i as u64);
                let key = (EdwardsPoint::mul_base(&secret) + torsion).compress().to_bytes();
                let r = (EdwardsPoint::mul_base(&nonce) + other).compress().to_bytes();
                for n in 0u8..4 {
                    let wide: [u8; 64] =
                        Sha512::new().chain_update(r).chain_update(key).chain_update([n]).finalize().into();
                    let s = nonce + Scalar::from_bytes_mod_order_wide(&wide) * secret;
                    accepted += u32::from(verdict(&key, &[n], &[r, s.to_bytes()].concat().try_into().unwrap()));
                }
            }
        }
        assert!((4..256).contains(&accepted), "both verdicts must occur: {accepted}");
        // S + L.
        let signature = honest.sign(message).to_bytes();
        let order = (-Scalar::ONE).to_bytes();
        let mut above = signature;
        let mut carry = 1u16;
        for i in 0..32 {
            carry += u16::from(above[32 + i]) + u16::from(order[i]);
            above[32 + i] = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert!(!verdict(&honest.verifying_key().to_bytes(), message, &above));
    }
}
