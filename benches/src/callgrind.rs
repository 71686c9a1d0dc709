//! Reads profiles of callgrind (valgrind's manual, "Callgrind Format Specification"), as far as inclusive costs of single functions need it.

/// Instructions spent in all functions whose symbol contains `name`, those they call included; none if there is no such function. Right for functions that
/// do not call themselves, directly or through others.
#[must_use]
pub fn inclusive(profile: &str, name: &str) -> Option<u64> {
    let (mut ids, mut inside, mut total) = (Vec::new(), false, None);
    for line in profile.lines() {
        if let Some((key, value)) = line.split_once('=') {
            // The name stands behind its number where the number is first used, be it of a function or of one that is called.
            if matches!(key, "fn" | "cfn") {
                let (id, function) = value.split_once(' ').unwrap_or((value, ""));
                if function.contains(name) {
                    ids.push(id.to_owned());
                }
                if key == "fn" {
                    inside = ids.iter().any(|known| known == id);
                }
            }
            continue;
        }
        // A line of costs: position and instructions. Behind "calls=" they are those of the called function.
        let is_cost = line.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '*'));
        if inside
            && is_cost
            && let Some(cost) = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok())
        {
            total = Some(total.unwrap_or(0) + cost);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "version: 1\nevents: Ir\nsummary: 999\n\nob=(1) /a\nfl=(1) a.rs\nfn=(1) main\n0 5\ncfn=(2) a::stage_one::h1\ncalls=2 0\n0 70\n\
                           cfn=(3) a::stage_two::h2\ncalls=1 0\n0 9\n\nfn=(2)\n0 30\nfi=(2) b.rs\n+3 10\ncfn=(4) memcpy\ncalls=4 0\n* 30\n\nfn=(3)\n0 9\n\nfn=(4)\n0 30\n";

    #[test]
    fn own_instructions_and_those_of_calls_are_added() {
        assert_eq!(inclusive(PROFILE, "stage_one"), Some(70));
        assert_eq!(inclusive(PROFILE, "stage_two"), Some(9));
        assert_eq!(inclusive(PROFILE, "main"), Some(84));
        assert_eq!(inclusive(PROFILE, "stage_three"), None);
    }
}
