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

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use sha2::{Digest, Sha512};
use std::sync::LazyLock;

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

    /// Does `signature` by this key cover `message`?
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        Commitment::holds(self.commitment(message, signature))
    }

    /// What R must be, to be compared with many others at once.
    pub fn commitment(&self, message: &[u8], signature: &[u8; 64]) -> Option<Commitment> {
        self.combined(message, signature, |k, s| EdwardsPoint::vartime_double_scalar_mul_basepoint(k, &self.negated, s))
    }

    /// The same, much faster for many signatures of this key.
    pub fn prepare(&self) -> PreparedKey {
        PreparedKey { multiples: Multiples::of(&self.negated), key: self.clone() }
    }

    /// `combine(k, s)` gives `s·B − k·A`.
    fn combined(
        &self, message: &[u8], signature: &[u8; 64], combine: impl FnOnce(&Scalar, &Scalar) -> EdwardsPoint,
    ) -> Option<Commitment> {
        let (r, s) = signature.split_at(32);
        let r = <[u8; 32]>::try_from(r).ok()?;
        let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(<[u8; 32]>::try_from(s).ok()?))?;
        let wide = Sha512::new().chain_update(r).chain_update(self.bytes).chain_update(message).finalize();
        let k = Scalar::from_bytes_mod_order_wide(&wide.into());
        Some(Commitment { r, expected: combine(&k, &s) })
    }
}

/// A signature's R, and the point whose encoding it must be. A point is encoded by a division, which costs a fifth of
/// a verification; many points are encoded with one.
#[derive(Clone, Copy, Debug)]
pub struct Commitment {
    r: [u8; 32],
    expected: EdwardsPoint,
}

impl Commitment {
    /// Is this one what it must be? None: the signature has no S below the group's order.
    pub fn holds(one: Option<Self>) -> bool {
        one.is_some_and(|one| one.expected.compress().0 == one.r && !one.expected.is_small_order())
    }

    /// The same of many.
    pub fn hold(all: &[Option<Self>]) -> Vec<bool> {
        if let [one] = all {
            return vec![Self::holds(*one)];
        }
        let points: Vec<EdwardsPoint> = all.iter().flatten().map(|one| one.expected).collect();
        if points.is_empty() {
            // The library would divide one by one.
            return vec![false; all.len()];
        }
        let mut encodings = EdwardsPoint::compress_batch_alloc(&points).into_iter();
        let mut holds = |one: &Self| encodings.next().is_some_and(|it| it.0 == one.r) && !one.expected.is_small_order();
        all.iter().map(Option::as_ref).map(|one| one.is_some_and(&mut holds)).collect()
    }
}

/// A key with a table of its multiples, about 75 KiB.
#[derive(Clone, Debug)]
pub struct PreparedKey {
    key: StrictKey,
    multiples: Multiples,
}

/// Multiples of the base point, made when they are first needed.
static BASE: LazyLock<Multiples> = LazyLock::new(|| Multiples::of(&ED25519_BASEPOINT_POINT));

impl PreparedKey {
    /// Does `signature` by this key cover `message`?
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        Commitment::holds(self.commitment(message, signature))
    }

    /// See [`StrictKey::commitment`].
    pub fn commitment(&self, message: &[u8], signature: &[u8; 64]) -> Option<Commitment> {
        self.key.combined(message, signature, |k, s| sum_of_products([(&self.multiples, k), (&BASE, s)]))
    }
}

/// Bits of a digit: more make fewer additions, but tables that no cache holds.
const WIDTH: usize = 6;
/// Digits of a scalar (below 2^253).
const DIGITS: usize = 254_usize.div_ceil(WIDTH);
/// A signed digit's greatest absolute value.
const DIGIT: usize = 1 << (WIDTH - 1);
/// Digits that share a row of a table: the table is so many times smaller, for `WIDTH` doublings each. Under load,
/// with many keys, three are the fastest: what is saved is waiting for memory.
const STRIDE: usize = 3;
/// Rows of a table.
const ROWS: usize = DIGITS.div_ceil(STRIDE);

/// `d · 2^(WIDTH·STRIDE·i) · P` for every row `i` and `1 ≤ d ≤ DIGIT`.
#[derive(Clone, Debug)]
struct Multiples(Vec<EdwardsPoint>);

impl Multiples {
    fn of(point: &EdwardsPoint) -> Self {
        let mut table = Vec::with_capacity(ROWS * DIGIT);
        let mut unit = *point;
        for _ in 0..ROWS {
            let mut multiple = unit;
            for _ in 0..DIGIT {
                table.push(multiple);
                multiple += unit;
            }
            for _ in 0..STRIDE {
                unit = shifted(&unit);
            }
        }
        Self(table)
    }

    /// The multiple that each digit of `scalar` selects, with the digit; any for the digit 0. All are read before any is
    /// added: reads that do not wait for additions overlap.
    fn selected_by(&self, scalar: &Scalar) -> [(i16, EdwardsPoint); DIGITS] {
        let digits = digits(scalar);
        std::array::from_fn(|i| {
            let place = i / STRIDE * DIGIT + usize::from(digits[i].unsigned_abs()).saturating_sub(1);
            (digits[i], self.0[place])
        })
    }
}

/// `2^WIDTH · point`.
fn shifted(point: &EdwardsPoint) -> EdwardsPoint {
    const { assert!(WIDTH == 6, "two multiplications by the cofactor 2^3") };
    point.mul_by_cofactor().mul_by_cofactor()
}

/// The sum of scalars times points; the doublings serve all of them.
fn sum_of_products<const N: usize>(products: [(&Multiples, &Scalar); N]) -> EdwardsPoint {
    let selected = products.map(|(multiples, scalar)| multiples.selected_by(scalar));
    let mut sum = EdwardsPoint::identity();
    for first in (0..STRIDE).rev() {
        if first + 1 < STRIDE {
            sum = shifted(&sum);
        }
        for (digit, point) in selected.iter().flat_map(|selected| selected.iter().skip(first).step_by(STRIDE)) {
            match digit {
                0 => {}
                1.. => sum += point,
                _ => sum -= point,
            }
        }
    }
    sum
}

/// The scalar as signed digits in base 2^[`WIDTH`], the least significant first, from `1 − DIGIT` to `DIGIT`.
fn digits(scalar: &Scalar) -> [i16; DIGITS] {
    let bytes = scalar.as_bytes();
    let mut carry = 0;
    std::array::from_fn(|i| {
        let (byte, shift) = (i * WIDTH / 8, i * WIDTH % 8);
        let low = bytes.get(byte).copied().unwrap_or(0);
        let high = bytes.get(byte + 1).copied().unwrap_or(0);
        let bits = (u16::from_le_bytes([low, high]) >> shift) & ((1 << WIDTH) - 1);
        let digit = carry + i16::try_from(bits).expect("at most eight bits");
        // Scalars are below 2^253, so nothing is carried out of the last digit.
        carry = i16::from(usize::from(digit.unsigned_abs()) > DIGIT);
        digit - (carry << WIDTH)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use curve25519_dalek::constants::EIGHT_TORSION;
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
        let found = plain.as_ref().is_some_and(|key| key.verify(message, signature));
        let prepared = plain.as_ref().is_some_and(|key| key.prepare().verify(message, signature));
        assert_eq!((found, prepared), (expected, expected), "{} {}", hex::encode(key), hex::encode(signature));
        // Among others, of which one has no S and one is wrong.
        let honest = SigningKey::from_bytes(&[3; 32]);
        let other = StrictKey::from_bytes(&honest.verifying_key().to_bytes()).unwrap();
        let good = other.commitment(b"other", &honest.sign(b"other").to_bytes());
        let bad = other.commitment(b"another", &honest.sign(b"other").to_bytes());
        let this = plain.and_then(|key| key.commitment(message, signature));
        assert_eq!(Commitment::hold(&[good, None, this, bad, good]), [true, false, expected, false, true]);
        expected
    }

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
        let times = |scalar: &Scalar| sum_of_products([(&BASE, scalar)]);
        for seed in 0..200 {
            let scalar = scalar(seed);
            assert_eq!(times(&scalar), EdwardsPoint::mul_base(&scalar));
        }
        for scalar in [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::from(128u8), Scalar::from(129u8)] {
            assert_eq!(times(&scalar), EdwardsPoint::mul_base(&scalar));
        }
        assert!(times(&Scalar::ZERO).is_identity());
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
