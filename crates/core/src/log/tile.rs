use std::{cell::RefCell, collections::BTreeMap, fmt, str::FromStr};

use super::{NodeReader, TreeTooLarge, tree::fold};
use crate::Digest;

/// The number of hashes in a full tile, and of entries in a full bundle (tlog-tiles, height 8).
pub const TILE_WIDTH: u16 = 256;

/// The longest entry a bundle can hold: its length is a `uint16`.
pub const MAX_ENTRY_BYTES: usize = 0xffff;

const HASH_BYTES: usize = 32;
const MAX_LEVEL: u8 = 63;
/// `18446744073709551615` takes seven path elements; nothing longer is an index.
const MAX_PATH_BYTES: usize = 64;

/// Why a tile, a bundle or a path is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// A width or level outside the layout.
    #[error(
        "expected a tile of level 0 to 63 and width 1 to 256, got level `{level}` width `{width}`"
    )]
    Shape {
        /// The level.
        level: u8,
        /// The width.
        width: u16,
    },
    /// The text is not a canonical path of the layout.
    #[error("expected a tile path, got `{0}`")]
    Path(String),
    /// The bytes are not the hashes that the tile's width asks for.
    #[error("expected {expected} bytes of hashes in `{tile}`, got {got}")]
    Length {
        /// The tile.
        tile: Tile,
        /// 32 bytes for each hash.
        expected: usize,
        /// What there was.
        got: usize,
    },
    /// A bundle ends inside an entry.
    #[error("entry {entry} of the bundle is cut off")]
    Truncated {
        /// The entry's position in the bundle.
        entry: usize,
    },
    /// A bundle holds a number of entries other than its width.
    #[error("expected {expected} entries in the bundle, got {got}")]
    Count {
        /// The width.
        expected: u16,
        /// At most one more than the width: decoding stops there.
        got: usize,
    },
    /// An entry is longer than its length prefix can say.
    #[error("expected an entry of at most {MAX_ENTRY_BYTES} bytes, got {0}")]
    EntryTooLong(usize),
}

/// Where a run of hashes of the tree lies: level, index in the level, width.
///
/// ```
/// use probity_core::log::Tile;
/// assert_eq!(Tile::new(0, 1_234_067, 17)?.to_string(), "tile/0/x001/x234/067.p/17");
/// # Ok::<(), probity_core::log::TileError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

impl Tile {
    /// A tile of `width` hashes, 1 to 256, at `level`, 0 to 63.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        if level > MAX_LEVEL || width == 0 || width > TILE_WIDTH {
            return Err(TileError::Shape { level, width });
        }
        Ok(Self { level, index, width })
    }

    pub(super) const fn full(level: u8, index: u64) -> Self {
        Self { level, index, width: TILE_WIDTH }
    }

    /// The tile at this place in a tree of `size` leaves; `None` where that tree has no hashes.
    pub fn of_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let count = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        let first = index.checked_mul(u64::from(TILE_WIDTH))?;
        let left = count.checked_sub(first)?.min(u64::from(TILE_WIDTH));
        Self::new(level, index, u16::try_from(left).ok()?).ok()
    }

    /// The level: 0 holds leaf hashes, each next one the roots of full tiles below.
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// The index within the level.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes, 1 to 256.
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether the tile can still grow.
    pub const fn is_partial(&self) -> bool {
        self.width < TILE_WIDTH
    }

    /// Reads the hashes of this tile from the bytes of its file.
    pub fn decode(&self, bytes: &[u8]) -> Result<Vec<Digest>, TileError> {
        let expected = usize::from(self.width) * HASH_BYTES;
        if bytes.len() != expected {
            return Err(TileError::Length { tile: *self, expected, got: bytes.len() });
        }
        let (hashes, _) = bytes.as_chunks::<HASH_BYTES>();
        Ok(hashes.iter().map(|hash| Digest::from_bytes(*hash)).collect())
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/{}", self.level, Place { index: self.index, width: self.width })
    }
}

impl FromStr for Tile {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        let error = || TileError::Path(path.chars().take(MAX_PATH_BYTES).collect());
        let rest = path.strip_prefix("tile/").ok_or_else(error)?;
        let (level, place) = rest.split_once('/').ok_or_else(error)?;
        let Place { index, width } = Place::parse(place).ok_or_else(error)?;
        let tile = Self::new(level.parse().map_err(|_| error())?, index, width)?;
        // One spelling only: no leading zeroes, no signs, no needless path elements.
        if tile.to_string() == path { Ok(tile) } else { Err(error()) }
    }
}

/// Where a run of log entries lies.
///
/// ```
/// use probity_core::log::EntryBundle;
/// assert_eq!(EntryBundle::new(5, 256)?.to_string(), "tile/entries/005");
/// # Ok::<(), probity_core::log::TileError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryBundle {
    index: u64,
    width: u16,
}

impl EntryBundle {
    /// The bundle of `width` entries, 1 to 256, from entry `256 * index` on.
    pub fn new(index: u64, width: u16) -> Result<Self, TileError> {
        Tile::new(0, index, width).map(|Tile { index, width, .. }| Self { index, width })
    }

    /// The bundle's index.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many entries, 1 to 256.
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// The tile that holds the hashes of these entries.
    pub const fn tile(&self) -> Tile {
        Tile { level: 0, index: self.index, width: self.width }
    }
}

impl fmt::Display for EntryBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/entries/{}", Place { index: self.index, width: self.width })
    }
}

impl FromStr for EntryBundle {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        let error = || TileError::Path(path.chars().take(MAX_PATH_BYTES).collect());
        let place = path.strip_prefix("tile/entries/").ok_or_else(error)?;
        let Place { index, width } = Place::parse(place).ok_or_else(error)?;
        let bundle = Self::new(index, width)?;
        if bundle.to_string() == path { Ok(bundle) } else { Err(error()) }
    }
}

/// `<N>[.p/<W>]` of the layout.
struct Place {
    index: u64,
    width: u16,
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_PATH_BYTES {
            return None;
        }
        let (number, width) = match text.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok().filter(|w| *w < TILE_WIDTH)?),
            None => (text, TILE_WIDTH),
        };
        let digits = number.split('/').map(|element| element.strip_prefix('x').unwrap_or(element));
        let index = digits.collect::<String>().parse().ok()?;
        Some(Self { index, width })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut thousands = Vec::new();
        let mut rest = self.index / 1000;
        while rest > 0 {
            thousands.push(rest % 1000);
            rest /= 1000;
        }
        for element in thousands.iter().rev() {
            write!(f, "x{element:03}/")?;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.width < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

/// The bytes of a tile's file: its hashes one after another.
pub fn encode_tile(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(Digest::as_bytes).copied().collect()
}

/// The bytes of a bundle's file: each entry after its length as a big-endian `uint16`.
pub fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, TileError> {
    let mut bytes = Vec::new();
    for entry in entries {
        let entry = entry.as_ref();
        let length =
            u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong(entry.len()))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The entries of a bundle of `width`.
pub fn decode_bundle(mut bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let entry = entries.len();
        if entry >= usize::from(width) {
            return Err(TileError::Count { expected: width, got: entry + 1 });
        }
        let cut = || TileError::Truncated { entry };
        let (length, rest) = bytes.split_first_chunk::<2>().ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (found, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        entries.push(found);
        bytes = rest;
    }
    if entries.len() == usize::from(width) {
        Ok(entries)
    } else {
        Err(TileError::Count { expected: width, got: entries.len() })
    }
}

/// Fetches tiles from wherever they lie: files, HTTP, memory.
pub trait TileReader {
    /// Why a tile could not be had.
    type Error: std::error::Error + 'static;

    /// The hashes of `tile`. A wider tile of the same place may stand in for a partial one
    /// (tlog-tiles, "Partial Tiles"); its surplus is ignored.
    fn read_tile(&self, tile: Tile) -> Result<Vec<Digest>, Self::Error>;
}

/// Why a hash of the tree could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileReadError<E> {
    /// The reader failed.
    #[error("reading `{tile}`")]
    Read {
        /// The tile.
        tile: Tile,
        /// The reader's error.
        #[source]
        source: E,
    },
    /// The reader gave fewer hashes than the tile has.
    #[error("expected {} hashes in `{tile}`, got {got}", .tile.width)]
    Short {
        /// The tile.
        tile: Tile,
        /// What there was.
        got: usize,
    },
    /// The node lies outside the tree.
    #[error("expected a node inside the tree, got height {height} index `{index}`")]
    OutOfTree {
        /// The node's height over the leaves.
        height: u32,
        /// The node's index within that height.
        index: u64,
    },
    /// More leaves than this log handles.
    #[error(transparent)]
    TooLarge(TreeTooLarge),
}

/// Exactly the hashes of `tile`.
pub(super) fn read_prefix<R: TileReader>(
    reader: &R,
    tile: Tile,
) -> Result<Vec<Digest>, TileReadError<R::Error>> {
    let mut hashes =
        reader.read_tile(tile).map_err(|source| TileReadError::Read { tile, source })?;
    if hashes.len() < usize::from(tile.width) {
        return Err(TileReadError::Short { tile, got: hashes.len() });
    }
    hashes.truncate(usize::from(tile.width));
    Ok(hashes)
}

/// A tree of a known size read through its tiles, each tile once.
#[derive(Debug)]
pub struct TileTree<'a, R> {
    reader: &'a R,
    size: u64,
    read: RefCell<BTreeMap<Tile, Vec<Digest>>>,
}

impl<'a, R: TileReader> TileTree<'a, R> {
    /// The tree of `size` leaves whose tiles `reader` has.
    pub fn new(reader: &'a R, size: u64) -> Self {
        Self { reader, size, read: RefCell::default() }
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl<R: TileReader> NodeReader for TileTree<'_, R> {
    type Error = TileReadError<R::Error>;

    fn node(&self, height: u32, index: u64) -> Result<Digest, Self::Error> {
        let outside = || TileReadError::OutOfTree { height, index };
        let level = u8::try_from(height / 8).map_err(|_| outside())?;
        let span = 1_usize << (height % 8);
        let first = index.checked_mul(1 << (height % 8)).ok_or_else(outside)?;
        let width = u64::from(TILE_WIDTH);
        let tile = Tile::of_tree(level, first / width, self.size).ok_or_else(outside)?;
        let offset = usize::try_from(first % width).map_err(|_| outside())?;

        let mut read = self.read.borrow_mut();
        let hashes = match read.entry(tile) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(read_prefix(self.reader, tile)?)
            }
        };
        let part = hashes.get(offset..offset.saturating_add(span)).ok_or_else(outside)?;
        fold(part.to_vec()).ok_or_else(outside)
    }
}
