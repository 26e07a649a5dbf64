//! The widget of a signature: how large it is and what it shows, the imprint and perhaps a caption below it.

use lopdf::ObjectId;
use qz_domain::contract::Size;
use qz_domain::contract::caption::Extent;

use super::{FieldRequest, SignError};
use crate::POINTS_PER_MM;
use crate::appearance::{self, Drawing, Part};
use crate::page::PageBox;
use crate::seal::Imprint;
use crate::update::Update;

impl FieldRequest<'_> {
    fn extent(&self) -> Extent {
        let Imprint { width_mm, height_mm, .. } = *self.imprint;
        Extent::of(Size { width_mm, height_mm }, self.caption.is_some())
    }

    /// Lower left corner and size of the widget, as displayed.
    pub(super) fn widget_mm(&self) -> ((f64, f64), (f64, f64)) {
        let (extent, Imprint { width_mm, height_mm, .. }) = (self.extent(), self.imprint);
        let (x_mm, y_mm) = (self.x_mm + width_mm / 2.0, self.y_mm + height_mm / 2.0);
        let Size { width_mm, height_mm } = extent.size();
        ((x_mm - extent.left_mm, y_mm - extent.below_mm), (width_mm, height_mm))
    }

    /// What the widget shows, turned for its page; and the imprint alone where it was embedded upright.
    pub(super) fn appearance(
        &self, update: &mut Update<'_>, page: &PageBox,
    ) -> Result<(ObjectId, Option<ObjectId>), SignError> {
        let matrix = page.upright_matrix();
        let Some(caption) = self.caption else {
            let form = appearance::embed(update, &self.imprint.pdf, matrix)?;
            return Ok((form, (matrix == appearance::UPRIGHT).then_some(form)));
        };
        let caption = caption.draw(self.time_ms)?;
        let (imprint, bounds) = appearance::embed_bounded(update, &self.imprint.pdf, appearance::UPRIGHT)?;
        let (extent, size) = (self.extent(), self.extent().size());
        let place = |left: f64, bottom: f64, drawn: &Imprint| {
            [left, bottom, left + drawn.width_mm, bottom + drawn.height_mm].map(|mm| mm * POINTS_PER_MM)
        };
        let above = extent.below_mm - self.imprint.height_mm / 2.0;
        let parts = [
            Part {
                drawing: Drawing::Form(imprint, bounds),
                place: place(extent.left_mm - self.imprint.width_mm / 2.0, above, self.imprint),
            },
            Part {
                drawing: Drawing::Pdf(&caption.pdf),
                place: place(extent.left_mm - caption.width_mm / 2.0, 0.0, &caption),
            },
        ];
        let size = (size.width_mm * POINTS_PER_MM, size.height_mm * POINTS_PER_MM);
        Ok((appearance::compose(update, &parts, size, matrix)?, Some(imprint)))
    }
}
