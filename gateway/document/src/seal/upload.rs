//! Imprints that are uploaded: a scan or photograph of a stamp loses its paper and keeps its colour; a vector
//! drawing is reduced to plain shapes ([`super::svg`]). Nothing but the pixels survives: EXIF, colour profiles
//! and comments are gone.

use std::collections::BTreeMap;
use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgba, RgbaImage};
use serde_json::json;

use super::{Imprint, SealError, drawn, svg};

/// Largest upload in bytes.
pub const MAX_UPLOAD_BYTES: usize = 8 << 20;
/// Most pixels along a side.
const MAX_SIDE: u32 = 6000;
/// Pixels that a millimetre needs (102 dpi) and those that are kept (305 dpi).
const PIXELS_PER_MM: std::ops::RangeInclusive<f64> = 4.0..=12.0;
/// Sizes of an imprint.
pub const SIDES_MM: std::ops::RangeInclusive<f64> = 8.0..=80.0;
/// Alpha below which there is nothing.
const NOTHING: u8 = 24;

/// An imprint from a PNG, JPEG or SVG file, `width_mm` wide when cropped to what is drawn; its height follows.
///
/// # Errors
/// When it is no such file, too large or too small, empty, has no background, or is no plain drawing.
pub fn uploaded(file: &[u8], width_mm: f64) -> Result<Imprint, SealError> {
    if !SIDES_MM.contains(&width_mm) {
        return Err(out_of_size());
    }
    if file.len() > MAX_UPLOAD_BYTES {
        return Err(SealError::Upload("文件超过 8 MB 上限 / the file has more than 8 MB".into()));
    }
    let is_svg = file.trim_ascii_start().starts_with(b"<");
    let (bytes, ratio, format) = if is_svg {
        let reduced = svg::reduced(file)?;
        (reduced.text.into_bytes(), reduced.height / reduced.width, "svg")
    } else {
        let picture = resized(cropped(without_paper(decoded(file)?)?)?, width_mm)?;
        let ratio = f64::from(picture.height()) / f64::from(picture.width());
        let mut png = Cursor::new(Vec::new());
        picture.write_to(&mut png, ImageFormat::Png).map_err(|error| unreadable(&error))?;
        (png.into_inner(), ratio, "png")
    };
    let height_mm = width_mm * ratio;
    if !SIDES_MM.contains(&height_mm) {
        return Err(out_of_size());
    }
    let identity = format!("seal/upload/{}", hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&bytes)));
    drawn(
        include_str!("../../templates/picture.typ"),
        json!({ "width": width_mm, "height": height_mm, "format": format }),
        BTreeMap::from([("imprint", bytes)]),
        &identity,
        (width_mm, height_mm),
    )
}

fn out_of_size() -> SealError {
    SealError::Size { what: "印模宽高 width and height", min: *SIDES_MM.start(), max: *SIDES_MM.end() }
}

fn unreadable(error: &dyn std::fmt::Display) -> SealError {
    SealError::Upload(format!(
        "图片无法读取，请上传 PNG、JPEG 或 SVG / the picture cannot be read ({error}): upload PNG, JPEG or SVG"
    ))
}

/// The pixels, turned as the camera meant them.
fn decoded(file: &[u8]) -> Result<RgbaImage, SealError> {
    let format = image::guess_format(file).map_err(|error| unreadable(&error))?;
    if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg) {
        return Err(unreadable(&"not PNG or JPEG"));
    }
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(256 << 20);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| unreadable(&error))?;
    let orientation = decoder.orientation().map_err(|error| unreadable(&error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| unreadable(&error))?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgba8())
}

/// Makes the paper transparent; a picture that is transparent already stays as it is.
fn without_paper(mut picture: RgbaImage) -> Result<RgbaImage, SealError> {
    let clear = picture.pixels().filter(|pixel| pixel.0[3] < 128).count();
    let all = picture.pixels().len();
    if clear * 20 > all {
        return Ok(picture);
    }
    let paper = paper(&picture);
    if paper.iter().any(|channel| *channel < 120) {
        return Err(SealError::Upload(
            "图片边缘不是浅色纸张，无法去除背景，请在白纸上盖章后重新拍摄 / the edge of the picture is no light paper: stamp on white paper and scan again".into(),
        ));
    }
    for pixel in picture.pixels_mut() {
        *pixel = ink(*pixel, paper);
    }
    Ok(picture)
}

/// The colour of the paper: the median along the edges of the picture.
fn paper(picture: &RgbaImage) -> [u8; 3] {
    let (width, height) = picture.dimensions();
    let rim = (width.min(height) / 40).max(1);
    let is_rim = |x: u32, y: u32| x < rim || y < rim || x >= width - rim || y >= height - rim;
    let edge: Vec<&Rgba<u8>> =
        picture.enumerate_pixels().filter(|(x, y, _)| is_rim(*x, *y)).map(|(_, _, pixel)| pixel).collect();
    [0, 1, 2].map(|channel| {
        let mut values: Vec<u8> = edge.iter().map(|pixel| pixel.0[channel]).collect();
        let middle = values.len() / 2;
        *values.select_nth_unstable(middle).1
    })
}

/// Splits a pixel into ink and paper: the least ink that can make this colour on this paper. Greys that are
/// nearly paper are shadows and grain.
fn ink(pixel: Rgba<u8>, paper: [u8; 3]) -> Rgba<u8> {
    let [red, green, blue, opacity] = pixel.0;
    let (colour, paper) = ([red, green, blue].map(f64::from), paper.map(f64::from));
    let darker = |channel: usize| ((paper[channel] - colour[channel]) / paper[channel]).clamp(0.0, 1.0);
    let shades = [darker(0), darker(1), darker(2)];
    let (low, high) = shades.iter().fold((1.0_f64, 0.0_f64), |(low, high), shade| (low.min(*shade), high.max(*shade)));
    // A shadow darkens all channels alike.
    let chroma = high - low;
    let floor = if chroma < 0.06 { 0.30 } else { 0.10 };
    // On white paper this gives the colour back exactly; only what is nearly paper fades away.
    let alpha = high * ((high - floor) / 0.15).clamp(0.0, 1.0) * f64::from(opacity) / 255.0;
    let unmixed = |channel: usize| {
        let value = (colour[channel] - (1.0 - high) * paper[channel]) / high.max(1e-6);
        value.round().clamp(0.0, 255.0) as u8
    };
    if alpha <= 0.0 {
        return Rgba([0, 0, 0, 0]);
    }
    Rgba([unmixed(0), unmixed(1), unmixed(2), (alpha * 255.0).round() as u8])
}

/// Only what is drawn, with a rim of one part in a hundred.
fn cropped(picture: RgbaImage) -> Result<RgbaImage, SealError> {
    let (width, height) = picture.dimensions();
    let (mut columns, mut rows) = (vec![0_u32; width as usize], vec![0_u32; height as usize]);
    let mut solid = 0_usize;
    for (x, y, pixel) in picture.enumerate_pixels() {
        if pixel.0[3] > NOTHING {
            columns[x as usize] += 1;
            rows[y as usize] += 1;
            solid += 1;
        }
    }
    // Single specks are dust.
    let span = |counts: &[u32]| {
        let first = counts.iter().position(|count| *count > 1)?;
        let last = counts.iter().rposition(|count| *count > 1)?;
        Some((first as u32, last as u32))
    };
    let (Some((left, right)), Some((top, bottom))) = (span(&columns), span(&rows)) else {
        return Err(SealError::Upload("图片中没有可见的印模 / there is no visible imprint in the picture".into()));
    };
    if solid * 10 > picture.pixels().len() * 9 {
        return Err(SealError::Upload(
            "图片没有可去除的浅色背景 / the picture has no light background that could be removed".into(),
        ));
    }
    let rim = (right - left).max(bottom - top) / 100;
    let (left, top) = (left.saturating_sub(rim), top.saturating_sub(rim));
    let (right, bottom) = ((right + rim).min(width - 1), (bottom + rim).min(height - 1));
    Ok(imageops::crop_imm(&picture, left, top, right - left + 1, bottom - top + 1).to_image())
}

/// At most as many pixels as print shows; too few are refused.
fn resized(picture: RgbaImage, width_mm: f64) -> Result<RgbaImage, SealError> {
    let density = f64::from(picture.width()) / width_mm;
    if density < *PIXELS_PER_MM.start() {
        let wanted = (width_mm * PIXELS_PER_MM.start()).ceil();
        return Err(SealError::Upload(format!(
            "印模分辨率过低：宽 {} 像素，至少需要 {wanted} 像素 / the imprint is {} pixels wide, at least {wanted} are needed",
            picture.width(),
            picture.width()
        )));
    }
    if density <= *PIXELS_PER_MM.end() {
        return Ok(picture);
    }
    let scale = PIXELS_PER_MM.end() / density;
    let side = |pixels: u32| ((f64::from(pixels) * scale).round() as u32).max(1);
    let (width, height) = (side(picture.width()), side(picture.height()));
    Ok(premultiplied(picture, |picture| imageops::resize(&picture, width, height, FilterType::CatmullRom)))
}

/// Runs `change` on colours weighted by alpha, so that what is transparent lends no colour to its neighbours.
fn premultiplied(mut picture: RgbaImage, change: impl FnOnce(RgbaImage) -> RgbaImage) -> RgbaImage {
    for Rgba([red, green, blue, alpha]) in picture.pixels_mut() {
        for channel in [red, green, blue] {
            *channel = (u16::from(*channel) * u16::from(*alpha) / 255) as u8;
        }
    }
    let mut picture = change(picture);
    for Rgba([red, green, blue, alpha]) in picture.pixels_mut() {
        let weight = u16::from((*alpha).max(1));
        for channel in [red, green, blue] {
            *channel = (u16::from(*channel) * 255 / weight).min(255) as u8;
        }
    }
    picture
}
