use encrytrust_protocol::leaf_hash;
use proptest::prelude::*;

use super::*;

/// RFC 6962, section 2.1, word for word.
pub(crate) fn naive_root(leaves: &[EntryId]) -> Sha256Hash {
    match leaves {
        [] => Sha256Hash::from(EMPTY_ROOT),
        [leaf] => Sha256Hash::from(*leaf.as_bytes()),
        _ => {
            let (left, right) = leaves.split_at(largest_power_below(leaves.len()));
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// RFC 6962, section 2.1.1: PATH(m, D[n]).
fn naive_path(m: usize, leaves: &[EntryId]) -> Vec<Sha256Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = largest_power_below(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, other) = if m < k {
        (naive_path(m, left), naive_root(right))
    } else {
        (naive_path(m - k, right), naive_root(left))
    };
    path.push(other);
    path
}

/// RFC 6962, section 2.1.2: SUBPROOF(m, D[n], b).
fn naive_subproof(m: usize, leaves: &[EntryId], whole: bool) -> Vec<Sha256Hash> {
    if m == leaves.len() {
        return if whole { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let k = largest_power_below(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, other) = if m <= k {
        (naive_subproof(m, left, whole), naive_root(right))
    } else {
        (naive_subproof(m - k, right, false), naive_root(left))
    };
    proof.push(other);
    proof
}

fn largest_power_below(n: usize) -> usize {
    1 << (n - 1).ilog2()
}

pub(crate) fn leaves(count: usize) -> Vec<EntryId> {
    (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

struct InMemory(Vec<EntryId>);

impl Nodes for InMemory {
    type Error = ProofError;
    fn node(&self, height: u8, n: u64) -> Result<Sha256Hash, ProofError> {
        let (width, n) = (1usize << height, n as usize);
        Ok(naive_root(&self.0[n * width..(n + 1) * width]))
    }
}

fn head(leaves: &[EntryId]) -> TreeHead {
    TreeHead { size: leaves.len() as u64, root: naive_root(leaves) }
}

#[test]
fn the_roots_of_the_certificate_transparency_test_vectors() {
    // From certificate-transparency's merkletree tests: eight inputs, eight roots.
    let inputs = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::new();
    assert_eq!(*frontier.head().root.as_bytes(), EMPTY_ROOT);
    for (input, root) in inputs.iter().zip(roots) {
        frontier.push(&leaf_hash(&hex::decode(input).unwrap()));
        assert_eq!(frontier.head().root.to_string(), root);
    }
}

#[test]
fn a_frontier_shows_every_node_it_completes() {
    let leaves = leaves(300);
    let mut frontier = Frontier::new();
    let mut tiles = Vec::new();
    for leaf in &leaves {
        frontier.push_with(leaf, |height, hash| {
            if height == 8 {
                tiles.push(*hash);
            }
        });
    }
    assert_eq!(tiles, [naive_root(&leaves[..256])]);
    let peaks = [naive_root(&leaves[..256]), naive_root(&leaves[256..288])];
    let peaks = [&peaks[..], &[naive_root(&leaves[288..296]), naive_root(&leaves[296..])]];
    assert_eq!(frontier, Frontier::from_peaks(300, &peaks.concat()));
}

proptest! {
    #[test]
    fn proofs_are_those_of_the_rfc(new in 1usize..70, a in 0usize..70, b in 0usize..70) {
        let (index, old) = (a % new, b % (new + 1));
        let leaves = leaves(new);
        let nodes = InMemory(leaves.clone());
        let (old_head, new_head) = (head(&leaves[..old]), head(&leaves));
        prop_assert_eq!(nodes.root(new as u64).unwrap(), new_head.root);

        let path = nodes.prove_inclusion(index as u64, new as u64).unwrap();
        prop_assert_eq!(&path, &naive_path(index, &leaves));
        verify_inclusion(&path, index as u64, &leaves[index], &new_head).unwrap();

        let proof = nodes.prove_consistency(old as u64, new as u64).unwrap();
        if old > 0 {
            prop_assert_eq!(&proof, &naive_subproof(old, &leaves, true));
        }
        verify_consistency(&proof, &old_head, &new_head).unwrap();
    }

    #[test]
    fn a_changed_proof_proves_nothing(
        size in 2usize..70, a in 0usize..70, at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let index = a % size;
        let leaves = leaves(size);
        let nodes = InMemory(leaves.clone());
        let whole = head(&leaves);
        let verify = |proof: &[Sha256Hash]| {
            verify_inclusion(proof, index as u64, &leaves[index], &whole)
        };
        let path = nodes.prove_inclusion(index as u64, size as u64).unwrap();
        let mut flipped = path.clone();
        let victim = at.index(flipped.len());
        let mut bytes = *flipped[victim].as_bytes();
        bytes[7] ^= 1 << bit;
        flipped[victim] = Sha256Hash::from(bytes);
        prop_assert!(verify(&flipped).is_err());
        prop_assert!(verify(&path[1..]).is_err());
        prop_assert!(verify(&[&path[..], &path[..1]].concat()).is_err());
        let other = (index + 1) % size;
        prop_assert!(verify_inclusion(&path, other as u64, &leaves[index], &whole).is_err());

        let old = head(&leaves[..index + 1]);
        let mut proof = nodes.prove_consistency(old.size, whole.size).unwrap();
        proof.push(old.root);
        prop_assert!(verify_consistency(&proof, &old, &whole).is_err());
    }
}

#[test]
fn impossible_questions_are_refused() {
    let nodes = InMemory(leaves(3));
    assert!(matches!(nodes.prove_inclusion(3, 3), Err(ProofError::OutOfRange(_))));
    assert!(matches!(nodes.prove_consistency(4, 3), Err(ProofError::OutOfRange(_))));
    assert!(matches!(nodes.root(u64::MAX), Err(ProofError::OutOfRange(_))));
    let huge = TreeHead { size: u64::MAX, root: nodes.root(3).unwrap() };
    assert!(verify_inclusion(&[], 0, &nodes.0[0], &huge).is_err());
    assert!(verify_consistency(&[], &huge, &huge).is_err());
    let long = vec![huge.root; 100_000];
    let head = TreeHead { size: 3, ..huge };
    assert!(verify_inclusion(&long, 0, &nodes.0[0], &head).is_err());
    let empty_with_wrong_root = TreeHead { size: 0, ..huge };
    assert!(verify_consistency(&[], &empty_with_wrong_root, &head).is_err());
}
