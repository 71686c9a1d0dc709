//! What `truc send` says of a document that is no edXML file: every field of `truc.edge.v1.Document` as an option. The edge judges them; here only what
//! the command line itself can get wrong is refused.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use truc_proto::edge::v1 as pb;

use crate::failure::Failure;

/// The header of a document. An edXML file says all of this itself.
#[derive(Debug, Args)]
#[group(id = "header", multiple = true, conflicts_with = "edxml")]
pub(super) struct Header {
    /// Code of a recipient; several with commas, or the option again.
    #[arg(long, value_name = "CODE", required_unless_present = "edxml", value_delimiter = ',')]
    to: Vec<String>,
    /// The organisation that sends; without it the agency of the edge.
    #[arg(long, value_name = "CODE")]
    from: Option<String>,
    /// Number of the document (số).
    #[arg(long, required_unless_present = "edxml")]
    number: Option<String>,
    /// Notation of the document (ký hiệu).
    #[arg(long, required_unless_present = "edxml")]
    notation: Option<String>,
    /// Abstract (trích yếu).
    #[arg(long, required_unless_present = "edxml")]
    subject: Option<String>,
    /// Name of the document type (loại văn bản), e.g. "Công văn".
    #[arg(long = "type", value_name = "NAME")]
    type_name: Option<String>,
    /// Type of the document as edXML has it.
    #[arg(long, value_name = "NUMBER")]
    type_code: Option<u32>,
    /// `TypeDetail` of edXML.
    #[arg(long, value_name = "NUMBER")]
    type_detail: Option<u32>,
    /// Issue date (ngày ban hành), yyyy-MM-dd.
    #[arg(long, value_name = "DATE")]
    issued_on: Option<String>,
    /// Answer deadline (hạn trả lời), yyyy-MM-dd.
    #[arg(long, value_name = "DATE")]
    due_on: Option<String>,
    /// 0 normal, 1 urgent, 2 very urgent, 3 flash, 4 flash at a set hour (độ khẩn).
    #[arg(long, value_name = "DIGIT", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..=4))]
    urgency: i32,
    /// The set hour of urgency 4, e.g. 2026-03-02T01:15:00.000Z.
    #[arg(long, value_name = "TIME")]
    urgent_at: Option<String>,
    /// National document identifier (mã định danh văn bản).
    #[arg(long, value_name = "ID")]
    document_id: Option<String>,
    /// Place of issue (nơi ban hành).
    #[arg(long)]
    place: Option<String>,
    /// Summary (nội dung).
    #[arg(long, value_name = "TEXT")]
    content: Option<String>,
    /// Authority prefix of the person who signed: TM., KT., TL., …
    #[arg(long, value_name = "PREFIX")]
    signer_competence: Option<String>,
    /// Post of the person who signed (chức vụ).
    #[arg(long, value_name = "POST")]
    signer_position: Option<String>,
    /// Name of the person who signed (họ tên).
    #[arg(long, value_name = "NAME")]
    signer_name: Option<String>,
    /// Circulation (phạm vi lưu hành).
    #[arg(long, value_name = "TEXT")]
    sphere: Option<String>,
    /// Initials of the drafter (ký hiệu người soạn thảo).
    #[arg(long, value_name = "TEXT")]
    drafter: Option<String>,
    /// Number of copies issued (số lượng bản).
    #[arg(long, value_name = "COUNT")]
    copies: Option<u32>,
    /// Number of pages (số trang).
    #[arg(long, value_name = "COUNT")]
    pages: Option<u32>,
    /// Name of an appendix (phụ lục); the option again for several.
    #[arg(long = "appendix", value_name = "NAME")]
    appendices: Vec<String>,
    /// A paper copy is sent as well.
    #[arg(long)]
    paper: bool,
    /// Language of the document.
    #[arg(long, value_name = "NAME")]
    document_language: Option<String>,
    /// A line of "Nơi nhận", for display only; the option again for several. Nothing is sent there: that is --to.
    #[arg(long = "to-place", value_name = "TEXT")]
    to_places: Vec<String>,
    /// Steering type as edXML has it.
    #[arg(long, value_name = "NUMBER")]
    steering_type: Option<u32>,
    /// Code of the task that is answered.
    #[arg(long, value_name = "CODE")]
    task_code: Option<String>,
    /// Kind of application of that task.
    #[arg(long, value_name = "TEXT")]
    task_application: Option<String>,
    /// A document that this one answers: its message id, or what is known of it, e.g. "code=4127/BTC-NSNN;organisation=G12;issued-on=2026-03-02". The
    /// names are message, organisation, document-id, code, issued-on. The option again for several.
    #[arg(long, value_name = "MESSAGE|NAME=VALUE;…", value_parser = reference)]
    in_reply_to: Vec<pb::DocumentReference>,
    /// Message id of the first document of the correspondence.
    #[arg(long, value_name = "MESSAGE")]
    thread: Option<String>,
    /// Why the document is sent.
    #[arg(long, value_name = "TEXT")]
    business_reason: Option<String>,
    /// Department to ask about the document.
    #[arg(long, value_name = "NAME")]
    contact_department: Option<String>,
    /// Code of that department.
    #[arg(long, value_name = "CODE")]
    contact_department_id: Option<String>,
    /// Person to ask about the document.
    #[arg(long, value_name = "NAME")]
    contact_staff: Option<String>,
    /// Code of that person.
    #[arg(long, value_name = "CODE")]
    contact_staff_id: Option<String>,
    /// Mail address to ask at.
    #[arg(long, value_name = "ADDRESS")]
    contact_email: Option<String>,
    /// Telephone number to ask at.
    #[arg(long, value_name = "NUMBER")]
    contact_phone: Option<String>,
    /// The attachments, in order.
    #[arg(value_name = "FILE", required_unless_present = "edxml")]
    pub(super) files: Vec<PathBuf>,
}

/// The secrecy mark of a document (độ mật).
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Secrecy {
    /// No mark: the only one that travels on this axis.
    None,
    /// Mật.
    Mat,
    /// Tối mật.
    ToiMat,
    /// Tuyệt mật.
    TuyetMat,
}

impl Secrecy {
    pub(super) const fn on_wire(self) -> pb::Secrecy {
        match self {
            Self::None => pb::Secrecy::None,
            Self::Mat => pb::Secrecy::Confidential,
            Self::ToiMat => pb::Secrecy::Secret,
            Self::TuyetMat => pb::Secrecy::TopSecret,
        }
    }
}

impl Header {
    /// The document with these attachments.
    pub(super) fn document(&self, secrecy: Secrecy, attachments: Vec<pb::Attachment>) -> pb::Document {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let signer = pb::Signer {
            competence: text(&self.signer_competence),
            position: text(&self.signer_position),
            full_name: text(&self.signer_name),
        };
        let kind = pb::DocumentType { code: self.type_code, detail: self.type_detail, name: text(&self.type_name) };
        let contact = pb::Contact {
            department: text(&self.contact_department),
            department_id: text(&self.contact_department_id),
            staff: text(&self.contact_staff),
            staff_id: text(&self.contact_staff_id),
            email: text(&self.contact_email),
            phone: text(&self.contact_phone),
        };
        pb::Document {
            sender: text(&self.from),
            recipients: self.to.clone(),
            number: text(&self.number),
            notation: text(&self.notation),
            subject: text(&self.subject),
            r#type: Some(kind).filter(|kind| *kind != pb::DocumentType::default()),
            document_id: text(&self.document_id),
            issued_on: text(&self.issued_on),
            place: text(&self.place),
            signer: Some(signer).filter(|signer| *signer != pb::Signer::default()),
            // The national digits begin with 0, which the interface keeps for "not said".
            urgency: self.urgency + 1,
            urgent_at: text(&self.urgent_at),
            secrecy: secrecy.on_wire().into(),
            due_on: text(&self.due_on),
            content: text(&self.content),
            sphere: text(&self.sphere),
            drafter: text(&self.drafter),
            copies: self.copies,
            pages: self.pages,
            appendices: self.appendices.clone(),
            paper: self.paper,
            language: text(&self.document_language),
            to_places: self.to_places.clone(),
            steering_type: self.steering_type,
            task_code: text(&self.task_code),
            task_application: text(&self.task_application),
            in_reply_to: self.in_reply_to.clone(),
            thread: text(&self.thread),
            business_reason: text(&self.business_reason),
            contact: Some(contact).filter(|contact| *contact != pb::Contact::default()),
            attachments,
        }
    }
}

/// A document that is answered: a message id alone, or `name=value` with semicolons between, because document ids may have commas.
fn reference(text: &str) -> Result<pb::DocumentReference, String> {
    let mut found = pb::DocumentReference::default();
    if !text.contains('=') {
        return Ok(pb::DocumentReference { message_id: text.to_owned(), ..found });
    }
    for part in text.split(';').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is not like name=value"))?;
        let field = match name.trim() {
            "message" => &mut found.message_id,
            "organisation" => &mut found.organisation,
            "document-id" => &mut found.document_id,
            "code" => &mut found.code,
            "issued-on" => &mut found.issued_on,
            other => return Err(format!("{other:?} is none of message, organisation, document-id, code, issued-on")),
        };
        value.trim().clone_into(field);
    }
    Ok(found)
}

/// A refusal of a field in the words of the command line: `document.issued_on` of the interface is `--issued-on` here.
pub(super) fn in_options(failure: Failure) -> Failure {
    let Failure::Refused(mut refusal) = failure else { return failure };
    let path: String = refusal.message.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "._[]".contains(*letter)).collect();
    if let Some(option) = option_of(path.trim_end_matches('.')) {
        refusal.message = format!("{option}{}", refusal.message.get(path.len()..).unwrap_or_default());
    }
    Failure::Refused(refusal)
}

fn option_of(path: &str) -> Option<String> {
    if path == "client_reference" {
        return Some("--reference".to_owned());
    }
    let field = path.strip_prefix("document.")?;
    let (name, rest) = field.split_once(['[', '.']).map_or((field, ""), |(name, rest)| (name, rest));
    let inner = rest.rsplit('.').next().filter(|inner| !inner.contains(']')).unwrap_or_default();
    let option = match (name, inner) {
        ("attachments", _) => return None,
        ("sender", _) => "from".to_owned(),
        ("recipients", _) => "to".to_owned(),
        ("appendices", _) => "appendix".to_owned(),
        ("to_places", _) => "to-place".to_owned(),
        ("language", _) => "document-language".to_owned(),
        ("type", "name" | "") => "type".to_owned(),
        ("signer", "full_name") => "signer-name".to_owned(),
        ("type" | "signer" | "contact", inner) => format!("{name}-{inner}").replace('_', "-"),
        (name, _) => name.replace('_', "-"),
    };
    Some(format!("--{}", option.trim_end_matches('-')))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};
    use truc_types::{Reason, Refusal};

    use super::*;

    #[derive(Debug, Parser)]
    struct Parsed {
        #[arg(long)]
        edxml: Option<PathBuf>,
        #[command(flatten)]
        header: Header,
    }

    #[test]
    fn every_field_of_a_document_has_its_option_and_every_option_its_field() {
        let options = Parsed::command();
        let mut arguments = vec!["send".to_owned()];
        for option in options.get_arguments().filter(|option| option.get_id() != "edxml" && option.get_id() != "files") {
            arguments.push(format!("--{}", option.get_long().unwrap()));
            if option.get_action().takes_values() {
                arguments.push("4".to_owned());
            }
        }
        arguments.push("file.pdf".to_owned());
        let parsed = Parsed::try_parse_from(arguments).unwrap();
        let written = format!("{:?}", parsed.header.document(Secrecy::Mat, vec![pb::Attachment::default()]));
        // An attachment and a reference by message id leave fields empty; everything else was said.
        let said = written.split("in_reply_to").next().unwrap();
        let rest = written.split("thread").nth(1).unwrap().split("attachments").next().unwrap();
        for part in [said, rest] {
            assert!(!part.contains("\"\"") && !part.contains("None") && !part.contains("[]"), "{part}");
        }
    }

    #[test]
    fn an_edxml_file_says_everything_itself() {
        assert!(Parsed::try_parse_from(["send", "--edxml", "a.edxml"]).is_ok());
        for extra in [["--to", "G12"], ["--sphere", "x"], ["--contact-staff", "x"]] {
            assert!(Parsed::try_parse_from([&["send", "--edxml", "a.edxml"][..], &extra].concat()).is_err(), "{extra:?}");
        }
        assert!(Parsed::try_parse_from(["send", "a.pdf"]).is_err());
    }

    #[test]
    fn an_answered_document_is_named_as_well_as_it_is_known() {
        assert_eq!(reference("01ARYZ6S41TSV4RRFFQ69G5FAV").unwrap().message_id, "01ARYZ6S41TSV4RRFFQ69G5FAV");
        let known = reference("code=4127/BTC-NSNN;organisation=G12; issued-on=2026-03-02;document-id=000.00.00.G12,2026,4127").unwrap();
        assert_eq!((known.code.as_str(), known.organisation.as_str()), ("4127/BTC-NSNN", "G12"));
        assert_eq!((known.issued_on.as_str(), known.document_id.as_str()), ("2026-03-02", "000.00.00.G12,2026,4127"));
        assert!(reference("number=4127").is_err() && reference("code=4127;G12").is_err());
    }

    #[test]
    fn a_refused_field_is_named_by_its_option() {
        let told = |message: &str| in_options(Failure::Refused(Refusal::new(Reason::RequestInvalid, message))).to_string();
        assert!(told("document.issued_on: a date").ends_with("--issued-on: a date"));
        assert!(told("document.signer.full_name has 400 bytes").ends_with("--signer-name has 400 bytes"));
        assert!(told("document.in_reply_to[0].issued_on: a date").ends_with("--in-reply-to: a date"));
        assert!(told("document.to_places[3] has 500 bytes").ends_with("--to-place has 500 bytes"));
        assert!(told("document.contact.email has").ends_with("--contact-email has"));
        assert!(told("the edge is away").ends_with("the edge is away"));
    }
}
