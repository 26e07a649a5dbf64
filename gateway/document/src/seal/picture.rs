//! An imprint as a picture of points, for formats that want no PDF (seal data of GB/T 38540). The paper stays
//! transparent.

use hayro::hayro_interpret::InterpreterSettings;
use hayro::hayro_syntax::Pdf;
use hayro::{RenderCache, RenderSettings, render};

use super::{Imprint, SealError};

/// Points per inch: 945 across a company's seal.
pub const PICTURE_DPI: f32 = 600.0;
/// Largest side in points: some 160 mm.
const MAX_SIDE: f32 = 3800.0;

/// The one page of an imprint as PNG (RGBA), [`PICTURE_DPI`] points per inch.
///
/// # Errors
/// When it has no page, or one larger than any seal.
pub fn png(imprint: &Imprint) -> Result<Vec<u8>, SealError> {
    let failed = |why: &str| SealError::Picture(why.to_owned());
    let pdf = Pdf::new(imprint.pdf.clone()).map_err(|_| failed("not a PDF that can be drawn"))?;
    let page = pdf.pages().first().ok_or_else(|| failed("no page"))?;
    let scale = PICTURE_DPI / 72.0;
    let (width, height) = page.render_dimensions();
    if width * scale > MAX_SIDE || height * scale > MAX_SIDE {
        return Err(failed("too large"));
    }
    let settings = RenderSettings { x_scale: scale, y_scale: scale, ..RenderSettings::default() };
    let drawn = render(page, &RenderCache::new(), &InterpreterSettings::default(), &settings);
    drawn.into_png().map_err(|error| SealError::Picture(error.to_string()))
}
