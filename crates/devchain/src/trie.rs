//! The Merkle-Patricia trie of the Yellow Paper (appendix D), kept on disk and updated in place.
//!
//! A node is stored under its *path* (the nibbles that lead to it), so an update replaces nodes and
//! leaves no garbage, and a batch of changes visits each node on the changed paths once. There is
//! one trie of accounts and one per contract for its storage; `owner` tells them apart.
//!
//! Node shapes, their RLP and their references (a hash, or the node itself when shorter than 32
//! bytes) are `alloy-trie`'s; the tests compare every root with its from-scratch `HashBuilder`.

use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, keccak256};
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::nodes::{BranchNode, ExtensionNode, LeafNode, RlpNode, TrieNode};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieMask};

use crate::Error;
use crate::recent::StateWrite;

/// Where stored nodes are read from.
pub(crate) trait NodeSource {
    /// RLP of the node stored under the key, if any.
    fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;
}

/// A hashed key with its new value; `None` deletes.
pub(crate) type Change = (Nibbles, Option<Vec<u8>>);

/// Which trie: of all accounts (`None`) or of one contract's storage.
pub(crate) type Owner = Option<Address>;

/// Database key of the node at `path`.
pub(crate) fn node_key(owner: Owner, path: &Nibbles) -> Vec<u8> {
    let mut key = Vec::with_capacity(21 + path.len());
    match owner {
        None => key.push(0),
        Some(address) => {
            key.push(1);
            key.extend_from_slice(address.as_slice());
        }
    }
    key.extend(path.iter());
    key
}

/// The trie path of an account or slot: the nibbles of its key's hash.
pub(crate) fn hashed_path(key: impl AsRef<[u8]>) -> Nibbles {
    Nibbles::unpack(keccak256(key))
}

/// Applies the changes and returns the new root with the nodes to write.
pub(crate) fn update<S: NodeSource>(
    source: &S,
    owner: Owner,
    mut changes: Vec<Change>,
) -> Result<(B256, Vec<StateWrite>), Error> {
    changes.sort_unstable_by_key(|change| change.0);
    let mut update = Update { source, owner, writes: HashMap::default() };
    let root = update.apply(&Nibbles::default(), &changes)?;
    let hash = match &root {
        Some(node) => keccak256(encode(node)),
        None => EMPTY_ROOT_HASH,
    };
    update.place(Nibbles::default(), root.as_ref());
    let writes =
        update.writes.into_iter().map(|(path, node)| (node_key(owner, &path), node)).collect();
    Ok((hash, writes))
}

/// RLP of the nodes from the root towards `key`, as EIP-1186 wants them: nodes embedded in their
/// parent are not listed apart.
pub(crate) fn proof<S: NodeSource>(
    source: &S,
    owner: Owner,
    key: &Nibbles,
) -> Result<Vec<Vec<u8>>, Error> {
    let mut path = Nibbles::default();
    let mut nodes = Vec::new();
    while let Some(rlp) = source.node(&node_key(owner, &path))? {
        let node = TrieNode::decode(&mut rlp.as_slice())?;
        if rlp.len() >= 32 || path.is_empty() {
            nodes.push(rlp);
        }
        match node {
            TrieNode::Branch(_) if path.len() < key.len() => path.push(nibble(key, path.len())?),
            TrieNode::Extension(extension) => {
                path = path.join(&extension.key);
                if !key.starts_with(&path) {
                    break;
                }
            }
            _ => break,
        }
    }
    Ok(nodes)
}

struct Update<'a, S> {
    source: &'a S,
    owner: Owner,
    writes: HashMap<Nibbles, Option<Vec<u8>>>,
}

impl<S: NodeSource> Update<'_, S> {
    /// Applies the changes below `path` and returns what now belongs there. The caller places it,
    /// as it may yet merge with its parent; everything deeper is placed already.
    fn apply(&mut self, path: &Nibbles, changes: &[Change]) -> Result<Option<TrieNode>, Error> {
        match self.load(path)? {
            None | Some(TrieNode::EmptyRoot) => self.build(path, &live(changes)),
            Some(TrieNode::Leaf(leaf)) => self.apply_to_leaf(path, &leaf, changes),
            Some(TrieNode::Extension(extension)) => {
                self.apply_to_extension(path, extension, changes)
            }
            Some(TrieNode::Branch(branch)) => {
                self.apply_to_branch(path, children(&branch), changes)
            }
        }
    }

    fn apply_to_leaf(
        &mut self,
        path: &Nibbles,
        leaf: &LeafNode,
        changes: &[Change],
    ) -> Result<Option<TrieNode>, Error> {
        let key = path.join(&leaf.key);
        let mut leaves = live(changes);
        if let Err(position) = changes.binary_search_by(|change| change.0.cmp(&key)) {
            // Not among the changes, so it stays; `leaves` is a sorted subset of them.
            let kept = changes[..position].iter().filter(|change| change.1.is_some()).count();
            leaves.insert(kept, (key, leaf.value.as_slice()));
        }
        self.build(path, &leaves)
    }

    fn apply_to_extension(
        &mut self,
        path: &Nibbles,
        extension: ExtensionNode,
        changes: &[Change],
    ) -> Result<Option<TrieNode>, Error> {
        let end = path.join(&extension.key);
        // Deleting what is not there changes nothing.
        let changes: Vec<Change> = changes
            .iter()
            .filter(|change| change.1.is_some() || change.0.starts_with(&end))
            .cloned()
            .collect();
        let shared = changes
            .iter()
            .map(|change| change.0.common_prefix_length(&end))
            .min()
            .unwrap_or(end.len());
        let below = if changes.is_empty() {
            return Ok(Some(TrieNode::Extension(extension)));
        } else if shared == end.len() {
            self.apply(&end, &changes)?
        } else {
            // A key leaves the extension here: put a branch at this point.
            let at = end.slice(..shared);
            let slot = nibble(&end, shared)?;
            let rest = end.slice(shared + 1..);
            let child = if rest.is_empty() {
                extension.child
            } else {
                let shorter = TrieNode::Extension(ExtensionNode::new(rest, extension.child));
                self.place(end.slice(..=shared), Some(&shorter))
            };
            let mut children = Children::default();
            children[usize::from(slot)] = Some(child);
            self.apply_to_branch(&at, children, &changes)?
        };
        let point = end.slice(..shared);
        let key = point.slice(path.len()..);
        if key.is_empty() {
            return Ok(below);
        }
        Ok(self.prefixed(point, key, below))
    }

    fn apply_to_branch(
        &mut self,
        path: &Nibbles,
        mut children: Children,
        changes: &[Change],
    ) -> Result<Option<TrieNode>, Error> {
        for group in changes.chunk_by(|a, b| a.0.get(path.len()) == b.0.get(path.len())) {
            let slot = nibble(&group[0].0, path.len())?;
            let mut child_path = *path;
            child_path.push(slot);
            let child = self.apply(&child_path, group)?;
            let reference = self.place(child_path, child.as_ref());
            children[usize::from(slot)] = child.map(|_| reference);
        }
        let mut present = (0..16u8).filter(|slot| children[usize::from(*slot)].is_some());
        let (first, second) = (present.next(), present.next());
        match (first, second) {
            (None, _) => Ok(None),
            (Some(only), None) => {
                let mut child_path = *path;
                child_path.push(only);
                let child = self.load(&child_path)?;
                Ok(self.prefixed(child_path, Nibbles::from_nibbles([only]), child))
            }
            _ => Ok(Some(branch(children))),
        }
    }

    /// Builds the subtree of the given leaves, sorted by key.
    fn build(
        &mut self,
        path: &Nibbles,
        leaves: &[(Nibbles, &[u8])],
    ) -> Result<Option<TrieNode>, Error> {
        let (Some(first), Some(last)) = (leaves.first(), leaves.last()) else {
            return Ok(None);
        };
        if leaves.len() == 1 {
            let leaf = LeafNode::new(first.0.slice(path.len()..), first.1.to_vec());
            return Ok(Some(TrieNode::Leaf(leaf)));
        }
        let shared = first.0.common_prefix_length(&last.0);
        let point = first.0.slice(..shared);
        let mut children = Children::default();
        for group in leaves.chunk_by(|a, b| a.0.get(shared) == b.0.get(shared)) {
            let slot = nibble(&group[0].0, shared)?;
            let mut child_path = point;
            child_path.push(slot);
            let child = self.build(&child_path, group)?;
            let reference = self.place(child_path, child.as_ref());
            children[usize::from(slot)] = child.map(|_| reference);
        }
        let key = point.slice(path.len()..);
        let node = branch(children);
        Ok(if key.is_empty() { Some(node) } else { self.prefixed(point, key, Some(node)) })
    }

    /// The node that leads through `key` to `below`, which so far belongs at `point`: an extension
    /// before a branch; leaves and extensions take the nibbles into their own key.
    fn prefixed(
        &mut self,
        point: Nibbles,
        key: Nibbles,
        below: Option<TrieNode>,
    ) -> Option<TrieNode> {
        match below {
            None | Some(TrieNode::EmptyRoot) => {
                self.place(point, None);
                None
            }
            Some(node @ TrieNode::Branch(_)) => {
                let child = self.place(point, Some(&node));
                Some(TrieNode::Extension(ExtensionNode::new(key, child)))
            }
            Some(TrieNode::Leaf(leaf)) => {
                self.place(point, None);
                Some(TrieNode::Leaf(LeafNode::new(key.join(&leaf.key), leaf.value)))
            }
            Some(TrieNode::Extension(extension)) => {
                self.place(point, None);
                let key = key.join(&extension.key);
                Some(TrieNode::Extension(ExtensionNode::new(key, extension.child)))
            }
        }
    }

    /// Records that `node` now stands at `path`, and returns its parent's reference to it.
    fn place(&mut self, path: Nibbles, node: Option<&TrieNode>) -> RlpNode {
        let rlp = node.map(encode);
        let reference = rlp.as_deref().map(RlpNode::from_rlp).unwrap_or_default();
        self.writes.insert(path, rlp);
        reference
    }

    fn load(&self, path: &Nibbles) -> Result<Option<TrieNode>, Error> {
        let rlp = match self.writes.get(path) {
            Some(written) => written.clone(),
            None => self.source.node(&node_key(self.owner, path))?,
        };
        Ok(rlp.map(|rlp| TrieNode::decode(&mut rlp.as_slice())).transpose()?)
    }
}

type Children = [Option<RlpNode>; 16];

fn children(branch: &BranchNode) -> Children {
    let mut children = Children::default();
    for (slot, child) in branch.as_ref().children() {
        children[usize::from(slot)] = child.cloned();
    }
    children
}

fn branch(children: Children) -> TrieNode {
    let mut mask = TrieMask::default();
    let mut stack = Vec::with_capacity(16);
    for (slot, child) in (0u8..).zip(children) {
        if let Some(child) = child {
            mask.set_bit(slot);
            stack.push(child);
        }
    }
    TrieNode::Branch(BranchNode::new(stack, mask))
}

fn live(changes: &[Change]) -> Vec<(Nibbles, &[u8])> {
    changes.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?))).collect()
}

fn nibble(key: &Nibbles, index: usize) -> Result<u8, Error> {
    key.get(index).ok_or_else(|| Error::corrupt("a trie path is longer than its keys"))
}

fn encode(node: &TrieNode) -> Vec<u8> {
    let mut rlp = Vec::with_capacity(node.length());
    node.encode(&mut rlp);
    rlp
}

#[cfg(test)]
#[path = "trie_tests.rs"]
mod tests;
