//! Rates of the kernels on this machine, one thread: `cargo run --release --example kernels`.

use std::{hint::black_box, time::Instant};

use encrytrust_smpc::{
    Committee, Party,
    feldman::{
        Dealing, Header,
        bare::{BareDealing, HighEntropy},
        batched::BatchedDealing,
        blinded::{BlindedDealing, Timing},
    },
    field::{Field, Mersenne61, Mersenne127, Ristretto},
    prg::Prg,
    sharing::{deal, reconstruct},
};

/// Seconds of the fastest of some runs.
fn seconds(runs: usize, mut run: impl FnMut()) -> f64 {
    let once = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..runs).map(once).fold(f64::INFINITY, f64::min)
}

fn column<F: Field>(len: usize) -> Vec<F> {
    let mut column = vec![F::ZERO; len];
    Prg::random().elements(&mut column);
    column
}

/// Elements per microsecond, in columns that stay in the cache.
fn arithmetic<F: Field>() {
    const LEN: usize = 4096;
    const TURNS: usize = 50;
    let (mut a, b) = (column::<F>(LEN), column::<F>(LEN));
    let mut rate = |name: &str, op: &mut dyn FnMut(&mut [F])| {
        let time = seconds(9, || (0..TURNS).for_each(|_| op(black_box(&mut a))));
        println!("{:>12} {name:<16} {:>8.3} G/s", F::NAME, (LEN * TURNS) as f64 / time / 1e9);
    };
    rate("add", &mut |a| F::add_slice(a, &b));
    rate("mul", &mut |a| F::mul_slice(a, &b));
    rate("scale", &mut |a| F::scale_slice(a, b[0]));
    rate("inner product", &mut |a| {
        black_box(F::inner_product(a, &b));
    });
    rate("combine 3", &mut |a| F::combine(a, &b[..3], &[&b, &b, &b]));
    rate("sum", &mut |a| {
        black_box(F::sum(a));
    });
    let mut prg = Prg::random();
    rate("sample", &mut |a| prg.elements(a));
}

fn sharing<F: Field>(parties: u16, degree: u16, len: usize) {
    let committee = Committee::new(parties, degree).expect("fits");
    let secrets = column::<F>(len);
    let mut prg = Prg::random();
    let mut shares = Vec::new();
    let dealing = seconds(5, || shares = deal(committee, &secrets, &mut prg));
    let all: Vec<_> = shares.iter().collect();
    let opening = seconds(5, || {
        black_box(reconstruct(degree.into(), len, &all)).expect("honest");
    });
    let name = F::NAME;
    println!(
        "{name:>12} n={parties} d={degree} {len} values: deal {dealing:.4} s, open {opening:.4} s"
    );
}

fn feldman(len: usize) {
    let committee = Committee::new(3, 1).expect("fits");
    let dealer = Party::new(1).expect("not 0");
    let header = |len| Header { session: [0; 32], committee, dealer, len };
    let mut prg = Prg::random();
    let few = len / 100;
    let secrets = HighEntropy::sample(few, &mut prg);
    let mut dealt = None;
    let time = seconds(2, || {
        dealt = Some(BareDealing::deal(header(few as u32), &secrets, &mut prg));
    });
    let scale = len as f64 / few as f64;
    report("bare", time * scale, dealt.take(), scale);

    let secrets = column::<Ristretto>(len);
    for (name, timing, part) in
        [("blinded", Timing::Variable, 1), ("blinded, constant", Timing::Constant, 100)]
    {
        let secrets = &secrets[..len / part];
        let header = header(secrets.len() as u32);
        let time = seconds(2, || {
            dealt_blinded(&mut prg, header, secrets, timing);
        });
        let dealt = Some(dealt_blinded(&mut prg, header, secrets, timing));
        report(name, time * part as f64, dealt, part as f64);
    }
    let secrets = column::<Mersenne61>(len);
    let mut dealt = None;
    let time = seconds(3, || {
        dealt = Some(BatchedDealing::deal(header(len as u32), &secrets, &mut prg));
    });
    report("batched", time, dealt, 1.0);
}

type Dealt<D> = (D, Vec<encrytrust_smpc::feldman::Package<<D as Dealing>::Field>>);

fn dealt_blinded(
    prg: &mut Prg,
    header: Header,
    secrets: &[Ristretto],
    timing: Timing,
) -> Dealt<BlindedDealing> {
    BlindedDealing::deal(header, secrets, timing, prg)
}

fn report<D: Dealing>(name: &str, dealer: f64, dealt: Option<Dealt<D>>, scale: f64) {
    let Some((dealing, packages)) = dealt else { return };
    let verifier = seconds(3, || {
        assert!(dealing.opens(&packages[1]) && dealing.fault(&packages[1]).is_none());
    });
    let bytes = dealing.encode().len();
    println!(
        "feldman {name:<18} dealer {dealer:.3} s, verifier {:.4} s, {bytes} B",
        verifier * scale
    );
}

fn main() {
    arithmetic::<Mersenne61>();
    arithmetic::<Mersenne127>();
    arithmetic::<Ristretto>();
    sharing::<Mersenne61>(3, 1, 1_000_000);
    sharing::<Mersenne61>(5, 2, 1_000_000);
    sharing::<Mersenne127>(3, 1, 1_000_000);
    sharing::<Ristretto>(3, 1, 100_000);
    println!("Feldman, per 1e6 values, n=3 d=1");
    feldman(1_000_000);
}
