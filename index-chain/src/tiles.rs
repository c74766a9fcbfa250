//! The resources of a C2SP tlog (<https://c2sp.org/tlog-tiles>): their paths, and how tiles that a
//! stranger served are checked against a signed tree.

use std::{cell::RefCell, collections::HashMap, fmt};

use encrytrust_protocol::{Sha256Hash, TreeHead};
use tlog_tiles::{Error as TlogError, HashReader, Tile, TileHashReader, TileReader};

use crate::{
    log::TILE_WIDTH,
    tree::{SIZE_MAX, ours, theirs},
};

/// Height of a tile: 2^8 hashes.
const HEIGHT: u8 = 8;

/// Something that a log serves and that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// Hashes of one level.
    Tile {
        /// 0 for leaf hashes.
        level: u8,
        /// Which tile of the level.
        n: u64,
        /// Hashes in it, 1 to 256.
        width: u64,
    },
    /// Entries.
    Bundle {
        /// Which bundle.
        n: u64,
        /// Entries in it, 1 to 256.
        width: u64,
    },
}

/// The path below the log's prefix, as in `tile/0/x001/234.p/67`.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, width) = match self {
            Self::Tile { level, n, width } => {
                write!(f, "tile/{level}/")?;
                (*n, *width)
            }
            Self::Bundle { n, width } => {
                f.write_str("tile/entries/")?;
                (*n, *width)
            }
        };
        let mut groups = vec![n % 1_000];
        let mut rest = n / 1_000;
        while rest > 0 {
            groups.push(rest % 1_000);
            rest /= 1_000;
        }
        for group in groups[1..].iter().rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", groups[0])?;
        if width < TILE_WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
    }
}

impl From<&Tile> for Resource {
    fn from(tile: &Tile) -> Self {
        Self::Tile { level: tile.level(), n: tile.level_index(), width: tile.width().into() }
    }
}

/// Tiles that do not belong to the tree they were served for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tiles served do not make the signed tree of {size} entries with root {root}")]
pub struct BadTiles {
    /// Size of the signed tree.
    pub size: u64,
    /// Root of the signed tree.
    pub root: Sha256Hash,
}

/// Nodes, by height and position, that make up the tree over the first `size` leaves.
pub(crate) fn peaks(size: u64) -> Vec<(u8, u64)> {
    let indexes = tlog_tiles::sub_tree_index(0, size, Vec::new());
    indexes.into_iter().map(tlog_tiles::split_stored_hash_index).collect()
}

/// Which tiles show these nodes of a tree, and show that they are of that tree.
pub(crate) fn wanted(head: &TreeHead, nodes: &[(u8, u64)]) -> Vec<Resource> {
    let held = Held::default();
    // It stops at the first request, which names every tile.
    let _ = read(head, nodes, &held);
    held.wanted.into_inner()
}

/// The hashes of some nodes of a tree, from tiles that are checked against its root.
pub(crate) fn authenticate(
    head: &TreeHead,
    nodes: &[(u8, u64)],
    tiles: &[(Resource, Vec<u8>)],
) -> Result<Vec<Sha256Hash>, BadTiles> {
    let held =
        Held { tiles: tiles.iter().map(|(r, bytes)| (*r, bytes)).collect(), ..Held::default() };
    read(head, nodes, &held).map_err(|_| BadTiles { size: head.size, root: head.root })
}

fn read(
    head: &TreeHead,
    nodes: &[(u8, u64)],
    held: &Held<'_>,
) -> Result<Vec<Sha256Hash>, TlogError> {
    if nodes.is_empty() {
        return Ok(Vec::new());
    }
    if head.size == 0 || head.size > SIZE_MAX {
        return Err(TlogError::IndexesNotInTree);
    }
    let index = |(height, n): &(u8, u64)| tlog_tiles::stored_hash_index(*height, *n);
    let indexes: Vec<u64> = nodes.iter().map(index).collect();
    let reader = TileHashReader::new(head.size, theirs(&head.root), held);
    Ok(reader.read_hashes(&indexes)?.into_iter().map(ours).collect())
}

/// Tiles at hand, and a list of those that were asked for.
#[derive(Default)]
struct Held<'a> {
    tiles: HashMap<Resource, &'a Vec<u8>>,
    wanted: RefCell<Vec<Resource>>,
}

impl TileReader for Held<'_> {
    fn height(&self) -> u8 {
        HEIGHT
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, TlogError> {
        *self.wanted.borrow_mut() = tiles.iter().map(Resource::from).collect();
        let find = |tile| self.tiles.get(&Resource::from(tile)).map(|bytes| bytes.to_vec());
        tiles.iter().map(find).collect::<Option<_>>().ok_or(TlogError::InvalidTile)
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |level, n, width| Resource::Tile { level, n, width }.to_string();
        assert_eq!(tile(0, 0, 256), "tile/0/000");
        assert_eq!(tile(2, 1_234_067, 256), "tile/2/x001/x234/067");
        assert_eq!(tile(0, 273, 112), "tile/0/273.p/112");
        assert_eq!(
            Resource::Bundle { n: 1_000, width: 1 }.to_string(),
            "tile/entries/x001/000.p/1"
        );
    }
}
