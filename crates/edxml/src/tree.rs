//! The envelope as a small tree of elements: everything outside attachments is bounded by `limits`, so order need not matter.

use std::io::BufRead;

use crate::diagnostic::{Findings, Place};
use crate::limits::HEADER_BYTES_MAX;
use crate::rule::Rule;
use crate::xml::{Namespace, Step, Steps, Stop};

/// An element, its text and its children.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) line: u64,
    pub(crate) column: u64,
    pub(crate) text: String,
    /// The attribute `id`, the only one with a meaning here.
    pub(crate) id: Option<String>,
    pub(crate) children: Vec<Self>,
}

impl Element {
    pub(crate) fn place(&self) -> Place<'_> {
        Place { path: &self.path, line: self.line, column: self.column }
    }
}

/// Bytes of text that may still be kept, for the whole message.
#[derive(Debug)]
pub(crate) struct TextBudget(usize);

impl TextBudget {
    pub(crate) const fn new() -> Self {
        Self(HEADER_BYTES_MAX)
    }

    pub(crate) fn take<R: BufRead>(&mut self, text: &str, steps: &Steps<R>) -> Result<(), Stop> {
        let expected = || format!("≤ {HEADER_BYTES_MAX} bytes");
        self.0 = self.0.checked_sub(text.len()).ok_or_else(|| steps.fault(Rule::HeaderTooLarge, "", expected()))?;
        Ok(())
    }
}

/// Signature blocks are display only and differ between vendors; their content is skipped: there is no public evidence that anybody verifies one.
fn is_signature(name: &str) -> bool {
    matches!(name, "Signature" | "DigitalSignature")
}

/// Reads to the end of the element that was just opened.
pub(crate) fn read_element<R: BufRead>(
    steps: &mut Steps<R>,
    name: String,
    budget: &mut TextBudget,
    findings: &mut Findings,
) -> Result<Element, Stop> {
    let start = |name: String, steps: &Steps<R>| {
        let place = steps.place();
        Element {
            name,
            path: place.path.to_owned(),
            line: place.line,
            column: place.column,
            id: steps.id().map(str::to_owned),
            ..Element::default()
        }
    };
    let mut open = vec![start(name, steps)];
    loop {
        match steps.next()? {
            Step::Open { name, namespace } => {
                if is_signature(&name) {
                    let signature = start(name, steps);
                    skip_element(steps)?;
                    if let Some(parent) = open.last_mut() {
                        parent.children.push(signature);
                    }
                } else if namespace == Namespace::Foreign {
                    findings.add(steps.place(), Rule::ElementUnknown, &name, "");
                    skip_element(steps)?;
                } else {
                    open.push(start(name, steps));
                }
            }
            Step::Text(text) => {
                budget.take(&text, steps)?;
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text);
                }
            }
            Step::Close => {
                let Some(mut element) = open.pop() else { return Err(steps.fault(Rule::NotWellFormed, "", "")) };
                // Indentation between children is no text.
                element.text = element.text.trim().to_owned();
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => return Ok(element),
                }
            }
            Step::End => return Err(steps.fault(Rule::NotWellFormed, "", "")),
        }
    }
}

/// Reads past the end of the element that was just opened and keeps nothing of it.
pub(crate) fn skip_element<R: BufRead>(steps: &mut Steps<R>) -> Result<(), Stop> {
    let outside = steps.depth().saturating_sub(1);
    while steps.depth() > outside {
        steps.next()?;
    }
    Ok(())
}
