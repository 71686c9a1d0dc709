//! Plots of a bench as SVG: panels with lines over labelled axes, one below the other. No more than benches need; numbers come from their rows.

use std::fmt::Write as _;
use std::path::Path;

use crate::failure::Failure;

const WIDTH: f64 = 900.0;
const PANEL_HEIGHT: f64 = 340.0;
/// Room around the area of a panel for labels.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 55.0;
/// Room of the title and of each line of notes.
const LINE_HEIGHT: f64 = 18.0;
/// About so many steps along an axis.
const STEPS: f64 = 8.0;
/// Told apart by people who see colours differently too (Okabe and Ito).
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000"];

/// One pair of axes.
pub(super) struct Panel {
    pub(super) title: String,
    /// What stands along the axes, with units.
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    /// Steps of the upright axis are factors of ten; values must be above zero.
    pub(super) is_logarithmic: bool,
    pub(super) lines: Vec<Line>,
}

/// One line of a panel.
pub(super) struct Line {
    pub(super) name: String,
    /// From left to right.
    pub(super) points: Vec<(f64, f64)>,
}

/// Writes a plot.
pub(super) fn write(path: &Path, title: &str, notes: &[String], panels: &[Panel]) -> Result<(), Failure> {
    std::fs::write(path, svg(title, notes, panels)).map_err(|source| Failure::file(path, source))
}

fn svg(title: &str, notes: &[String], panels: &[Panel]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a handful of lines and panels")]
    let (head, count) = (LINE_HEIGHT * (notes.len() as f64 + 2.0), panels.len() as f64);
    let height = head + PANEL_HEIGHT * count;
    let mut svg = String::new();
    let mut line = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    line(format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">"#));
    line(format!(r#"<rect width="{WIDTH}" height="{height}" fill="white"/>"#));
    line(text(LEFT, LINE_HEIGHT, "start", r#" font-size="15" font-weight="bold""#, title));
    let mut y = LINE_HEIGHT * 2.0;
    for note in notes {
        line(text(LEFT, y, "start", r##" fill="#444""##, note));
        y += LINE_HEIGHT;
    }
    let mut top = head;
    for panel in panels {
        line(format!(r#"<g transform="translate(0 {top:.0})">"#));
        line(panel.svg());
        line("</g>".to_owned());
        top += PANEL_HEIGHT;
    }
    line("</svg>".to_owned());
    svg
}

/// Where values stand along one axis.
struct Scale {
    from: f64,
    to: f64,
    /// Place of `from` and of `to`.
    places: (f64, f64),
    is_logarithmic: bool,
}

impl Scale {
    fn place(&self, value: f64) -> f64 {
        let (from, to, value) =
            if self.is_logarithmic { (self.from.log10(), self.to.log10(), value.log10()) } else { (self.from, self.to, value) };
        let (first, last) = self.places;
        first + (value - from) / (to - from).max(f64::MIN_POSITIVE) * (last - first)
    }

    /// Where lines and numbers stand: 1, 2 and 5 times powers of ten.
    fn steps(&self) -> Vec<f64> {
        let mut steps = Vec::new();
        if self.is_logarithmic {
            let mut decade = 10_f64.powf(self.from.log10().floor());
            while decade <= self.to {
                steps.extend([1.0, 2.0, 5.0].map(|step| step * decade));
                decade *= 10.0;
            }
        } else {
            let step = step((self.to - self.from) / STEPS);
            let mut value = (self.from / step).ceil() * step;
            while value <= self.to {
                steps.push(value);
                value += step;
            }
        }
        steps.retain(|value| (self.from..=self.to).contains(value));
        steps
    }
}

/// The next 1, 2 or 5 times a power of ten.
fn step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.max(f64::MIN_POSITIVE).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade).into_iter().find(|step| *step >= least).unwrap_or(decade)
}

impl Panel {
    fn svg(&self) -> String {
        let (x, y) = self.scales();
        let mut svg = String::new();
        let mut line = |text: String| {
            svg.push_str(&text);
            svg.push('\n');
        };
        let (right, bottom) = (x.places.1, y.places.0);
        line(text(LEFT, TOP - 20.0, "start", r#" font-weight="bold""#, &self.title));
        for value in x.steps() {
            let place = x.place(value);
            line(format!(r##"<path d="M{place:.1} {TOP}V{bottom:.1}" stroke="#ddd"/>"##));
            line(text(place, bottom + 16.0, "middle", "", &number(value)));
        }
        for value in y.steps() {
            let place = y.place(value);
            line(format!(r##"<path d="M{LEFT} {place:.1}H{right:.1}" stroke="#ddd"/>"##));
            line(text(LEFT - 6.0, place + 4.0, "end", "", &number(value)));
        }
        line(format!(r#"<path d="M{LEFT} {TOP}V{bottom:.1}H{right:.1}" stroke="black" fill="none"/>"#));
        line(text(f64::midpoint(LEFT, right), bottom + 36.0, "middle", "", self.x));
        let (beside, middle) = (20.0, f64::midpoint(TOP, bottom));
        line(text(beside, middle, "middle", &format!(r#" transform="rotate(-90 {beside} {middle:.1})""#), self.y));
        let mut legend = LEFT + 12.0;
        for (series, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let mut path = String::new();
            for (number, (across, up)) in series.points.iter().enumerate() {
                let (letter, across, up) = (if number == 0 { 'M' } else { 'L' }, x.place(*across), y.place(*up));
                // Writing to a string does not fail.
                let _written = write!(path, "{letter}{across:.1} {up:.1}");
                line(format!(r#"<circle cx="{across:.1}" cy="{up:.1}" r="2.5" fill="{colour}"/>"#));
            }
            line(format!(r#"<path d="{path}" stroke="{colour}" stroke-width="1.8" fill="none"/>"#));
            line(format!(r#"<path d="M{legend:.0} {}h18" stroke="{colour}" stroke-width="3"/>"#, TOP + 10.0));
            line(text(legend + 23.0, TOP + 14.0, "start", "", &series.name));
            #[expect(clippy::cast_precision_loss, reason = "letters of a name")]
            let letters = series.name.chars().count() as f64;
            legend += 45.0 + 7.0 * letters;
        }
        svg.truncate(svg.trim_end().len());
        svg
    }

    /// From zero, or from the decade below the least, to a step above the largest.
    fn scales(&self) -> (Scale, Scale) {
        let values = |pick: fn(&(f64, f64)) -> f64| self.lines.iter().flat_map(|line| &line.points).map(pick);
        let largest = |pick| Some(values(pick).fold(0.0, f64::max)).filter(|largest| *largest > 0.0).unwrap_or(1.0);
        let (x_max, y_max) = (largest(|point| point.0), largest(|point| point.1));
        let rounded = |largest: f64| (largest / step(largest / STEPS)).ceil() * step(largest / STEPS);
        let places = ((LEFT, WIDTH - RIGHT), (PANEL_HEIGHT - BOTTOM, TOP));
        let x = Scale { from: 0.0, to: rounded(x_max), places: places.0, is_logarithmic: false };
        let y = if self.is_logarithmic {
            let least = values(|point| point.1).filter(|value| *value > 0.0).fold(y_max, f64::min);
            let (from, to) = (10_f64.powf(least.log10().floor()), 10_f64.powf(y_max.log10().floor() + 1.0));
            Scale { from, to, places: places.1, is_logarithmic: true }
        } else {
            Scale { from: 0.0, to: rounded(y_max * 1.1), places: places.1, is_logarithmic: false }
        };
        (x, y)
    }
}

fn text(x: f64, y: f64, anchor: &str, more: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}"{more}>{text}</text>"#)
}

/// A number of an axis: thousands apart, no more decimals than it has.
fn number(value: f64) -> String {
    if value < 1_000.0 {
        let text = format!("{value:.3}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let first = digits.len() % 3;
    let mut parts: Vec<&str> = digits.get(..first).filter(|part| !part.is_empty()).into_iter().collect();
    parts.extend((first..digits.len()).step_by(3).filter_map(|from| digits.get(from..from + 3)));
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(is_logarithmic: bool, points: &[(f64, f64)]) -> Panel {
        let lines = vec![Line { name: "p99".to_owned(), points: points.to_vec() }];
        Panel { title: "a < b".to_owned(), x: "documents/s", y: "ms", is_logarithmic, lines }
    }

    #[test]
    fn points_stand_where_the_axes_say() {
        let (x, y) = panel(true, &[(1_000.0, 2.0), (9_500.0, 150.0)]).scales();
        assert_eq!((x.from, x.to, y.from, y.to), (0.0, 10_000.0, 1.0, 1_000.0));
        assert_eq!(x.place(0.0), LEFT);
        assert_eq!(x.place(10_000.0), WIDTH - RIGHT);
        assert_eq!((y.place(1.0), y.place(1_000.0)), (PANEL_HEIGHT - BOTTOM, TOP));
        let third = y.place(1.0) + (TOP - y.place(1.0)) / 3.0;
        assert!((y.place(10.0) - third).abs() < 1e-6);
        assert_eq!(y.steps(), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0]);
        assert_eq!(x.steps(), [0.0, 2_000.0, 4_000.0, 6_000.0, 8_000.0, 10_000.0]);
    }

    #[test]
    fn a_plot_is_well_formed_whatever_is_in_it() {
        for points in [&[][..], &[(0.0, 0.5)], &[(1.0, 1.0), (2.0, 3.0)]] {
            for is_logarithmic in [false, true] {
                let svg = svg("t & u", &["note <1>".to_owned()], &[panel(is_logarithmic, points), panel(false, points)]);
                assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
                assert!(svg.contains("t &amp; u") && svg.contains("note &lt;1&gt;") && svg.contains("a &lt; b"), "{svg}");
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                assert_eq!(svg.matches("<circle").count(), 2 * points.len());
                assert_eq!(svg.matches("documents/s").count(), 2, "every panel names its axes: {svg}");
            }
        }
    }

    #[test]
    fn numbers_of_axes_are_short() {
        assert_eq!([0.0, 0.5, 12.0, 1_500.0, 25_000.0, 1_000_000.0].map(number), ["0", "0.5", "12", "1,500", "25,000", "1,000,000"]);
    }
}
