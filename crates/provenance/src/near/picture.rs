//! Pictures: ISCC image codes of a picture as it is, turned, mirrored and cropped, with small grey
//! copies that tell real resemblance from equal codes.

use std::io::Cursor;

use image::{DynamicImage, ImageReader, Limits};
use serde::{Deserialize, Serialize};

use super::codes::{CodeError, ImageCode};

/// Most pixels in one direction, and most memory, that decoding a picture may take.
const MAX_SIDE: u32 = 16_384;
const MAX_ALLOCATION: u64 = 256 << 20;
/// ISCC image codes are made from 32 × 32 grey pixels (ISO 24138 §5.4).
const SIDE: usize = 32;
/// Side of the small copies.
const SMALL: usize = 8;
/// A view whose brightest and darkest pixels are closer says nothing.
const FLAT: u8 = 16;

/// How a picture is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// Unchanged.
    AsIs,
    /// Left and right exchanged.
    Mirrored,
    /// Top and bottom exchanged.
    UpsideDown,
    /// Turned by 180 degrees.
    Turned180,
    /// Rows and columns exchanged.
    Transposed,
    /// Turned by 270 degrees clockwise.
    Turned270,
    /// Turned by 90 degrees clockwise.
    Turned90,
    /// Rows and columns exchanged, then turned by 180 degrees.
    Transposed180,
    /// The middle, 9/10 of each side.
    Centre90,
    /// The middle, 4/5 of each side.
    Centre80,
    /// 4/5 of each side, from the top left.
    TopLeft80,
    /// 4/5 of each side, from the top right.
    TopRight80,
    /// 4/5 of each side, from the bottom left.
    BottomLeft80,
    /// 4/5 of each side, from the bottom right.
    BottomRight80,
}

/// The unchanged picture and its seven turns and reflections.
pub(super) const TURNS: [View; 8] = [
    View::AsIs,
    View::Mirrored,
    View::UpsideDown,
    View::Turned180,
    View::Transposed,
    View::Turned270,
    View::Turned90,
    View::Transposed180,
];
/// What is cut out.
pub(super) const CROPS: [View; 6] = [
    View::Centre90,
    View::Centre80,
    View::TopLeft80,
    View::TopRight80,
    View::BottomLeft80,
    View::BottomRight80,
];

/// Why bytes are no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Not a PNG or JPEG, or damaged, or too large.
    #[error("it does not decode as a picture")]
    Malformed(#[from] image::ImageError),
    /// Cannot be read from memory.
    #[error("its format cannot be told")]
    Format(#[from] std::io::Error),
    /// No code.
    #[error(transparent)]
    Code(#[from] CodeError),
}

/// A grey picture.
pub(super) struct Grey {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<u8>,
}

impl Grey {
    /// Decodes a PNG or JPEG; what is transparent is white.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, PictureError> {
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        limits.max_alloc = Some(MAX_ALLOCATION);
        reader.limits(limits);
        let picture: DynamicImage = reader.decode()?;
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let over_white = |pixel: &image::LumaA<u8>| {
            let [grey, alpha] = pixel.0.map(u32::from);
            u8::try_from((grey * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        };
        let pixels = picture.into_luma_alpha8().pixels().map(over_white).collect();
        Ok(Self { width, height, pixels })
    }

    fn crop(&self, view: View) -> Option<Self> {
        let part = match view {
            View::Centre90 => (9, 10),
            _ => (4, 5),
        };
        let (width, height) =
            ((self.width * part.0 / part.1).max(1), (self.height * part.0 / part.1).max(1));
        let (right, bottom) = (self.width.checked_sub(width)?, self.height.checked_sub(height)?);
        let (left, top) = match view {
            View::Centre90 | View::Centre80 => (right / 2, bottom / 2),
            View::TopLeft80 => (0, 0),
            View::TopRight80 => (right, 0),
            View::BottomLeft80 => (0, bottom),
            View::BottomRight80 => (right, bottom),
            _ => return None,
        };
        let rows = self.pixels.chunks_exact(self.width).skip(top).take(height);
        let pixels = rows.flat_map(|row| row.iter().skip(left).take(width).copied()).collect();
        Some(Self { width, height, pixels })
    }

    /// The mean grey of each cell of a square grid, in integers: the same on every machine.
    fn reduce(&self, side: usize) -> Vec<u8> {
        let along = spans(self.width, side);
        let down = spans(self.height, side);
        // Of weights that are counted in 1/side of a pixel, a cell has width * height.
        let whole = (self.width * self.height) as u64;
        let mut cells = Vec::with_capacity(side * side);
        for rows in &down {
            for columns in &along {
                let sum: u64 = rows.iter().map(|(y, tall)| self.sum(*y, columns) * tall).sum();
                cells.push(u8::try_from(sum / whole.max(1)).unwrap_or(u8::MAX));
            }
        }
        cells
    }

    /// The weighted sum of some pixels of a line.
    fn sum(&self, y: usize, columns: &[(usize, u64)]) -> u64 {
        let pixel = |x: &usize| self.pixels.get(y * self.width + x).copied().unwrap_or_default();
        columns.iter().map(|(x, wide)| u64::from(pixel(x)) * wide).sum()
    }
}

/// For each of `side` cells, the pixels of a line that lie in it, each with how much of it does.
fn spans(length: usize, side: usize) -> Vec<Vec<(usize, u64)>> {
    let overlap = |cell: usize, pixel: usize| {
        let from = (cell * length).max(pixel * side);
        let to = ((cell + 1) * length).min((pixel + 1) * side);
        to.saturating_sub(from) as u64
    };
    let cell = |cell: usize| {
        let pixels = (cell * length / side)..((cell + 1) * length).div_ceil(side);
        pixels.map(|pixel| (pixel, overlap(cell, pixel))).collect()
    };
    (0..side).map(cell).collect()
}

/// A square turned: exchange of rows and columns, then of left and right, then of top and bottom.
pub(super) fn turn<T: Copy + Default>(square: &[T], side: usize, view: View) -> Vec<T> {
    let (transposed, mirrored, upside_down) = match view {
        View::Mirrored => (false, true, false),
        View::UpsideDown => (false, false, true),
        View::Turned180 => (false, true, true),
        View::Transposed => (true, false, false),
        View::Turned270 => (true, true, false),
        View::Turned90 => (true, false, true),
        View::Transposed180 => (true, true, true),
        _ => return square.to_vec(),
    };
    let source = |cell: usize| {
        let (x, y) = (cell % side, cell / side);
        let (x, y) = if transposed { (y, x) } else { (x, y) };
        let x = if mirrored { side - 1 - x } else { x };
        let y = if upside_down { side - 1 - y } else { y };
        square.get(y * side + x).copied().unwrap_or_default()
    };
    (0..side * side).map(source).collect()
}

/// A small grey copy.
pub(super) type Small = [u8; SMALL * SMALL];

/// The mean difference of two small copies' grey values (0 to 255), in 1/64.
pub(super) fn difference(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
}

/// What resemblance of pictures is looked up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Codes of [`TURNS`]; none if the picture is flat.
    turns: [Option<ImageCode>; 8],
    /// Codes of [`CROPS`]; none where a crop is flat.
    crops: [Option<ImageCode>; 6],
    small: Small,
    small_crops: [Small; 6],
}

impl Picture {
    pub(super) fn of(grey: &Grey) -> Result<Self, PictureError> {
        let square = grey.reduce(SIDE);
        let mut turns = [None; 8];
        for (code, view) in turns.iter_mut().zip(TURNS) {
            *code = code_of(&turn(&square, SIDE, view))?;
        }
        let mut crops = [None; 6];
        let mut small_crops = [[0; SMALL * SMALL]; 6];
        for ((code, small), view) in crops.iter_mut().zip(&mut small_crops).zip(CROPS) {
            let Some(crop) = grey.crop(view) else { continue };
            *code = code_of(&crop.reduce(SIDE))?;
            *small = small_of(&crop);
        }
        Ok(Self { turns, crops, small: small_of(grey), small_crops })
    }

    /// The unchanged picture's code.
    pub(super) fn code(&self) -> Option<ImageCode> {
        self.turns.first().copied().flatten()
    }

    /// The codes of the turns and crops that have one.
    pub(super) fn codes(&self) -> impl Iterator<Item = (View, ImageCode)> + '_ {
        let turns = TURNS.into_iter().zip(&self.turns);
        let crops = CROPS.into_iter().zip(&self.crops);
        turns.chain(crops).filter_map(|(view, code)| Some((view, (*code)?)))
    }

    /// The small grey copy of a view.
    pub(super) fn small(&self, view: View) -> Vec<u8> {
        let crop = CROPS.iter().position(|crop| *crop == view);
        match crop.and_then(|at| self.small_crops.get(at)) {
            Some(small) => small.to_vec(),
            None => turn(&self.small, SMALL, view),
        }
    }
}

impl View {
    /// Whether it is a part of the picture.
    pub(super) fn is_crop(self) -> bool {
        CROPS.contains(&self)
    }
}

fn small_of(grey: &Grey) -> Small {
    let mut small = [0; SMALL * SMALL];
    small.copy_from_slice(&grey.reduce(SMALL));
    small
}

fn code_of(square: &[u8]) -> Result<Option<ImageCode>, CodeError> {
    let (low, high) = (square.iter().min(), square.iter().max());
    let range = high.zip(low).map_or(0, |(high, low)| high - low);
    if range < FLAT { Ok(None) } else { ImageCode::of(square).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_what_they_are_called() {
        let square = [1, 2, 3, 4];
        let turned = |view| turn(&square, 2, view);
        assert_eq!(turned(View::Turned90), [3, 1, 4, 2]);
        assert_eq!(turned(View::Turned270), [2, 4, 1, 3]);
        assert_eq!(turned(View::Turned180), [4, 3, 2, 1]);
        assert_eq!(turned(View::Mirrored), [2, 1, 4, 3]);
        assert_eq!(turned(View::UpsideDown), [3, 4, 1, 2]);
        assert_eq!(turned(View::Transposed), [1, 3, 2, 4]);
        assert_eq!(turned(View::Transposed180), [4, 2, 3, 1]);
    }

    #[test]
    fn reducing_keeps_the_mean() {
        let pixels: Vec<u8> = (0..13u32 * 7).map(|n| u8::try_from(n * 37 % 251).unwrap()).collect();
        let mean = pixels.iter().map(|pixel| u64::from(*pixel)).sum::<u64>() / 91;
        let grey = Grey { width: 13, height: 7, pixels };
        for side in [1, 5, 8, 32] {
            let cells = grey.reduce(side);
            let sum: u64 = cells.iter().map(|cell| u64::from(*cell)).sum();
            assert!((sum / cells.len() as u64).abs_diff(mean) <= 1, "{side}");
        }
    }
}
