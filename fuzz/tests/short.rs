//! Every target for a moment, with a fixed seed. `TRUC_FUZZ_SECONDS=60 cargo test -p truc-fuzz` gives each of them so long, with another seed.

#[cfg(test)]
mod short {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::{Duration, Instant};

    use truc_fuzz::Target;
    use truc_fuzz::mutate::{Random, mutant};

    #[expect(clippy::disallowed_methods, reason = "how long to go on is a question of real time")]
    fn now() -> Instant {
        Instant::now()
    }

    fn round(target: &Target, input: &[u8], what: &str) -> bool {
        catch_unwind(AssertUnwindSafe(|| (target.run)(input))).unwrap_or_else(|_| {
            let file = std::env::temp_dir().join(format!("truc-fuzz-{}", target.name));
            std::fs::write(&file, input).unwrap();
            panic!("target {} broke its promise at {what}; the input is in {}", target.name, file.display());
        })
    }

    fn run(name: &str) {
        let target = truc_fuzz::named(name).unwrap();
        let seeds = (target.corpus)();
        let sound = seeds.iter().enumerate().filter(|(number, seed)| round(target, seed, &format!("file {number} of the corpus"))).count();
        // Otherwise only the first check of the parser would ever be reached.
        assert!(sound > 0, "{name} refuses its whole corpus");
        round(target, b"", "no bytes");
        let seconds = std::env::var("TRUC_FUZZ_SECONDS").ok().map(|text| text.parse().expect("TRUC_FUZZ_SECONDS is a number"));
        let seed = if seconds.is_some() { u64::from(std::process::id()) << 20 } else { 0x7472_7563 };
        let mut random = Random::new(seed);
        let begun = now();
        let enough = |rounds: u32| match seconds {
            Some(seconds) => begun.elapsed() >= Duration::from_secs(seconds),
            None => rounds >= target.rounds,
        };
        let (mut rounds, mut parsed) = (0, 0);
        while !enough(rounds) {
            let input = mutant(&mut random, &seeds, target.words);
            parsed += u32::from(round(target, &input, &format!("round {rounds} of seed {seed}")));
            rounds += 1;
        }
        println!("{name}: {rounds} rounds, {parsed} parsed, {:?}", begun.elapsed());
    }

    macro_rules! targets {
        ($($name:ident)*) => {
            $(
                #[test]
                fn $name() {
                    run(stringify!($name));
                }
            )*

            #[test]
            fn no_target_is_left_out() {
                let run = [$(stringify!($name)),*];
                let all: Vec<_> = truc_fuzz::ALL.iter().map(|target| target.name).collect();
                assert_eq!(all, run);
            }
        };
    }

    targets! {
        dsse statement envelope entry certificate certificate_pem keyfile checkpoint note tlog_proof vkey peaks edxml journal journal_packed broker_entries edge_records
        export manifest agencies organisations settings refusal words
    }
}
