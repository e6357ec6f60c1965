//! C2SP tlog-tiles: the layout, and the tree read and grown through it.

use std::{cell::RefCell, collections::BTreeMap, convert::Infallible};

use probity_core::{
    Digest,
    log::{
        ConsistencyProof, EntryBundle, InclusionProof, MAX_ENTRY_BYTES, MAX_TREE_SIZE, MemoryTree,
        NodeReader as _, TILE_WIDTH, Tile, TileError, TileReadError, TileReader, TileTree, Tree,
        TreeTooLarge, decode_bundle, encode_bundle, encode_tile, leaf_hash, root_at,
    },
};
use proptest::prelude::*;
use serde::Deserialize;

use crate::log::{unhex, vectors};

#[derive(Deserialize)]
struct Good {
    tiles: Vec<Place>,
    bundles: Vec<Place>,
    partial_tiles: Vec<Partial>,
    bundle: Bundle,
}

#[derive(Deserialize)]
struct Place {
    path: String,
    #[serde(default)]
    level: u8,
    index: u64,
    width: u16,
}

#[derive(Deserialize)]
struct Partial {
    size: u64,
    tiles: Vec<String>,
}

#[derive(Deserialize)]
struct Bundle {
    bytes: String,
    entries: Vec<String>,
}

#[derive(Deserialize)]
struct Bad {
    paths: Vec<String>,
    bundles: Vec<BadBundle>,
}

#[derive(Deserialize)]
struct BadBundle {
    name: String,
    bytes: String,
    width: u16,
}

#[test]
fn the_paths_of_the_specification() {
    let good: Good = vectors("log/v1/tiles.json");
    for Place { path, level, index, width } in good.tiles {
        let tile = Tile::new(level, index, width).unwrap();
        assert_eq!(tile.to_string(), path);
        assert_eq!(path.parse(), Ok(tile));
        assert!(path.parse::<EntryBundle>().is_err());
    }
    for Place { path, index, width, .. } in good.bundles {
        let bundle = EntryBundle::new(index, width).unwrap();
        assert_eq!(bundle.to_string(), path);
        assert_eq!(path.parse(), Ok(bundle));
        assert!(path.parse::<Tile>().is_err());
    }
    let entries: Vec<_> = good.bundle.entries.iter().map(|entry| unhex(entry)).collect();
    let bytes = unhex(&good.bundle.bytes);
    assert_eq!(encode_bundle(&entries).unwrap(), bytes);
    assert_eq!(decode_bundle(&bytes, 3).unwrap(), entries);
}

#[test]
fn other_spellings_are_no_paths() {
    let bad: Bad = vectors("log/v1/bad_tiles.json");
    for path in bad.paths {
        assert!(path.parse::<Tile>().is_err(), "{path}");
        assert!(path.parse::<EntryBundle>().is_err(), "{path}");
    }
    for BadBundle { name, bytes, width } in bad.bundles {
        assert!(decode_bundle(&unhex(&bytes), width).is_err(), "{name}");
    }
    let long = vec![vec![0; MAX_ENTRY_BYTES], vec![0; MAX_ENTRY_BYTES + 1]];
    assert_eq!(encode_bundle(&long), Err(TileError::EntryTooLong(MAX_ENTRY_BYTES + 1)));
    for (level, width) in [(0, 0), (0, 257), (64, 1)] {
        assert_eq!(Tile::new(level, 0, width), Err(TileError::Shape { level, width }));
    }
}

/// Tiles in memory, full ones only as the tree gives them out.
#[derive(Default)]
struct Tiles(RefCell<BTreeMap<(u8, u64), Vec<Digest>>>);

impl Tiles {
    fn keep(&self, tile: Tile, hashes: Vec<Digest>) {
        self.0.borrow_mut().insert((tile.level(), tile.index()), hashes);
    }
}

impl TileReader for Tiles {
    type Error = Infallible;

    fn read_tile(&self, tile: Tile) -> Result<Vec<Digest>, Infallible> {
        let tiles = self.0.borrow();
        Ok(tiles.get(&(tile.level(), tile.index())).cloned().unwrap_or_default())
    }
}

fn grow(size: u64) -> (Tree, Tiles) {
    let (mut tree, tiles) = (Tree::default(), Tiles::default());
    for index in 0..size {
        for (tile, hashes) in tree.push(leaf_hash(&index.to_be_bytes())).unwrap() {
            assert_eq!((tile.width(), hashes.len()), (TILE_WIDTH, 256));
            tiles.keep(tile, hashes);
        }
    }
    for (tile, hashes) in tree.partial_tiles() {
        tiles.keep(tile, hashes.to_vec());
    }
    (tree, tiles)
}

#[test]
fn a_tree_needs_the_partial_tiles_of_the_specification() {
    let good: Good = vectors("log/v1/tiles.json");
    for Partial { size, tiles } in good.partial_tiles {
        let (tree, _) = grow(size);
        let found: Vec<_> = tree.partial_tiles().map(|(tile, _)| tile.to_string()).collect();
        assert_eq!(found, tiles, "size {size}");
    }
}

#[test]
fn tiles_give_the_same_tree_as_memory() {
    let all: MemoryTree = (0..70_000_u64).map(|index| leaf_hash(&index.to_be_bytes())).collect();
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 70_000] {
        let (tree, tiles) = grow(size);
        assert_eq!(tree.root(), root_at(&all, size).unwrap(), "size {size}");
        assert_eq!(Tree::resume(size, &tiles).unwrap(), tree, "size {size}");
        let read = TileTree::new(&tiles, size);
        assert_eq!(root_at(&read, size).unwrap(), tree.root());
        for index in [0, 1, size / 3, size / 2, size.saturating_sub(1)] {
            if index < size {
                let proof = InclusionProof::prove(&read, index, size).unwrap();
                assert_eq!(proof, InclusionProof::prove(&all, index, size).unwrap());
            }
            let proof = ConsistencyProof::prove(&read, index, size);
            assert_eq!(proof.ok(), ConsistencyProof::prove(&all, index, size).ok());
        }
        // An older tree, read from the tiles of the newer one.
        let older = TileTree::new(&tiles, size / 2);
        assert_eq!(root_at(&older, size / 2).unwrap(), root_at(&all, size / 2).unwrap());
    }
}

#[test]
fn missing_and_short_tiles_are_named() {
    let (_, tiles) = grow(600);
    tiles.keep(Tile::new(0, 1, 256).unwrap(), vec![Digest::default(); 255]);
    let error = TileTree::new(&tiles, 600).node(0, 300).unwrap_err();
    let tile = Tile::new(0, 1, 256).unwrap();
    assert_eq!(error, TileReadError::Short { tile, got: 255 });
    for (height, index) in [(0, 600), (3, 75), (9, 1), (10, 0), (64, 0), (300, 0), (0, u64::MAX)] {
        let error = TileTree::new(&tiles, 600).node(height, index).unwrap_err();
        assert_eq!(error, TileReadError::OutOfTree { height, index });
    }
    let too_large = MAX_TREE_SIZE + 1;
    let error = Tree::resume(too_large, &tiles).unwrap_err();
    assert_eq!(error, TileReadError::TooLarge(TreeTooLarge(too_large)));
}

proptest! {
    #[test]
    fn paths_read_back(level in 0_u8..64, index: u64, width in 1_u16..=256) {
        let tile = Tile::new(level, index, width).unwrap();
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
        let bundle = EntryBundle::new(index, width).unwrap();
        prop_assert_eq!(bundle.to_string().parse(), Ok(bundle));
    }

    #[test]
    fn any_text_is_a_path_in_one_spelling_only(text in "(tile/)?([0-9]{1,2}/|entries/)?[x0-9./p+-]{0,30}|.{0,90}") {
        if let Ok(tile) = text.parse::<Tile>() {
            prop_assert_eq!(tile.to_string(), text.clone());
        }
        if let Ok(bundle) = text.parse::<EntryBundle>() {
            prop_assert_eq!(bundle.to_string(), text);
        }
    }

    #[test]
    fn any_bytes_are_a_bundle_in_one_form_only(bytes: Vec<u8>, width in 0_u16..300) {
        if let Ok(entries) = decode_bundle(&bytes, width) {
            prop_assert_eq!(entries.len(), usize::from(width));
            prop_assert_eq!(encode_bundle(&entries).unwrap(), bytes);
        }
    }

    #[test]
    fn bundles_read_back(entries in prop::collection::vec(any::<Vec<u8>>(), 0..20)) {
        let width = u16::try_from(entries.len()).unwrap();
        let bytes = encode_bundle(&entries).unwrap();
        prop_assert_eq!(decode_bundle(&bytes, width).unwrap(), entries);
        for cut in 0..bytes.len() {
            prop_assert!(decode_bundle(&bytes[..cut], width).is_err());
        }
    }

    #[test]
    fn any_bytes_are_a_tile_of_their_length_only(bytes: Vec<u8>, width in 1_u16..=256) {
        let tile = Tile::new(0, 0, width).unwrap();
        let fits = bytes.len() == usize::from(width) * 32;
        prop_assert_eq!(tile.decode(&bytes).is_ok(), fits);
        if let Ok(hashes) = tile.decode(&bytes) {
            prop_assert_eq!(encode_tile(&hashes), bytes);
        }
    }

    #[test]
    fn nodes_outside_are_errors(size in 0_u64..2000, height: u32, index: u64) {
        let (_, tiles) = grow(0);
        prop_assert!(TileTree::new(&tiles, size).node(height, index).is_err());
    }
}
