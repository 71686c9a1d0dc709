//! Draws arbitrary legal statements from a seed: every optional field there or not, every list empty or not.

use truc_signing::sha256;
use truc_signing::statement::*;
use truc_types::*;

use crate::samples;

/// A xorshift generator: good enough to pick fields, and one number replays a case.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 0
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.yes().then(|| make(self))
    }

    fn list<T>(&mut self, least: u64, most: u64, mut make: impl FnMut(&mut Self, usize) -> T) -> Vec<T> {
        let length = least + self.below(most - least + 1);
        (0..usize::try_from(length).unwrap()).map(|n| make(self, n)).collect()
    }

    fn text(&mut self) -> String {
        const LETTERS: [char; 16] = ['a', 'Đ', 'ệ', '"', '\\', '\n', '\t', '/', '<', '{', ',', ' ', '\u{2028}', '😀', '0', '\u{a0}'];
        (0..=self.below(9)).map(|_| LETTERS[usize::try_from(self.below(16)).unwrap()]).collect()
    }

    fn word(&mut self) -> String {
        format!("w_{}.x-{}", self.below(99), self.below(9))
    }

    fn code<T: std::str::FromStr<Err = CodeError>>(&mut self, n: usize) -> T {
        format!("H{}.{n}", self.below(90)).parse().unwrap()
    }

    fn digest(&mut self) -> Digest {
        sha256(&self.below(u64::MAX).to_be_bytes())
    }

    fn id(&mut self) -> MessageId {
        let (high, low) = (u128::from(self.below(u64::MAX)), u128::from(self.below(u64::MAX)));
        MessageId::from_bytes((high << 64 | low).to_be_bytes())
    }

    fn time(&mut self) -> Timestamp {
        Timestamp::from_millis(self.below(Timestamp::MAX.as_millis()))
    }

    fn date(&mut self) -> Date {
        Date::from_days_since_epoch(u32::try_from(self.below(2_000_000)).unwrap()).unwrap()
    }

    fn number(&mut self) -> u64 {
        1 + self.below((1 << 53) - 1)
    }

    fn small(&mut self) -> u32 {
        u32::try_from(self.below(1 << 32)).unwrap()
    }

    fn log(&mut self) -> ObservedLog {
        ObservedLog { origin: self.text(), size: self.number(), root: self.digest() }
    }

    fn signers(&mut self) -> Vec<RequiredSigner> {
        self.list(1, 4, |d, n| RequiredSigner {
            role: SignerRole::ALL[n % 3],
            keyid: sha256(&[u8::try_from(n).unwrap()]),
            cert_sha256: d.digest(),
        })
    }

    fn nonce(&mut self) -> Nonce {
        self.id().to_bytes()
    }

    fn contact(&mut self) -> Contact {
        Contact {
            department: self.maybe(Self::text),
            department_id: self.maybe(Self::text),
            staff: self.maybe(Self::text),
            staff_id: self.maybe(Self::text),
            email: self.maybe(Self::text),
            phone: self.maybe(Self::text),
        }
    }

    fn doc(&mut self) -> Doc {
        let urgency = Urgency::from_digit(u8::try_from(self.below(5)).unwrap()).unwrap();
        Doc {
            document_id: self.maybe(Self::text),
            doc_type: DocType { code: self.maybe(Self::small), detail: self.maybe(Self::small), name: self.maybe(Self::text) },
            content: self.maybe(Self::text),
            place: self.maybe(Self::text),
            issued_on: self.maybe(Self::date),
            signer: self.maybe(|d| Signer {
                competence: d.maybe(Self::text),
                position: d.maybe(Self::text),
                full_name: d.maybe(Self::text),
            }),
            due_on: self.maybe(Self::date),
            urgency,
            urgent_at: self.maybe(Self::time).filter(|_| urgency == Urgency::FlashAtHour),
            sphere: self.maybe(Self::text),
            drafter: self.maybe(Self::text),
            copies: self.maybe(Self::small),
            pages: self.maybe(Self::small),
            appendices: self.list(0, 3, |d, _| d.text()),
            paper: self.yes(),
            language: self.maybe(Self::text),
            to_places: self.list(0, 3, |d, _| d.text()),
            steering_type: self.maybe(Self::small),
            task_code: self.maybe(Self::text),
            task_application: self.maybe(Self::text),
            ..Doc::new(self.text(), self.text(), self.text())
        }
    }

    fn reference(&mut self) -> DocumentReference {
        DocumentReference {
            message_id: Some(self.id()),
            organisation: self.maybe(|d| d.code(0)),
            document_id: self.maybe(Self::text),
            code: self.maybe(Self::text),
            issued_on: self.maybe(Self::date),
        }
    }

    fn attachment(&mut self) -> Attachment {
        let encoding = match self.below(3) {
            0 => Encoding::Identity,
            1 => Encoding::AgeV1,
            _ => Encoding::Opaque(format!("1.2.{}", self.below(1_000))),
        };
        Attachment {
            name: self.text(),
            media_type: "application/pdf".into(),
            size: self.below(limits::ATTACHMENT_BYTES_MAX + 1),
            sha256: self.digest(),
            commit: encoding.is_encrypted().then(|| self.digest()),
            encoding,
        }
    }

    fn envelope(&mut self) -> Envelope {
        let business = Business::ALL[usize::try_from(self.below(5)).unwrap()];
        let created_at = Timestamp::from_millis(self.below(1 << 41));
        let edxml = self.maybe(|d| EdxmlSource { sha256: d.digest(), size: d.below(limits::EDXML_BYTES_MAX) });
        Envelope {
            message_id: self.id(),
            sender: Sender { organisation: self.code(0), agency: self.code(0) },
            recipients: self.list(1, 5, |d, n| d.code(n)),
            business,
            business_reason: self.maybe(Self::text),
            in_reply_to: match business {
                Business::New => Vec::new(),
                Business::Reply => self.list(1, 3, |d, _| d.reference()),
                _ => self.list(0, 2, |d, _| d.reference()),
            },
            thread: self.maybe(Self::id),
            recalls: (business == Business::Recall).then(|| Recalled { message_id: self.id(), envelope: self.digest() }),
            updates: (business == Business::Update).then(|| Update {
                message_id: self.id(),
                envelope: self.digest(),
                added: self.list(0, 3, |d, n| d.code(n)),
                removed: self.list(0, 3, |d, n| d.code(n + 10)),
            }),
            replaces: if business == Business::Replace {
                self.list(1, 3, |d, _| Replacement { document: d.reference(), recipients: d.list(0, 3, |d, n| d.code(n)) })
            } else {
                Vec::new()
            },
            doc: self.doc(),
            attachments: self.list(u64::from(edxml.is_none()), 4, |d, _| d.attachment()),
            edxml,
            contact: self.maybe(Self::contact),
            created_at,
            expires_at: self.maybe(|d| created_at.plus_millis(d.number().min(1 << 42))),
            edge_term: EdgeTerm(self.number()),
            sender_seq: SenderSeq(self.number()),
            nonce: self.nonce(),
            observed_log: self.maybe(Self::log),
            required_signers: self.signers(),
        }
    }

    fn receipt(&mut self) -> Receipt {
        let event = ReceiptEvent::ALL[usize::try_from(self.below(6)).unwrap()];
        let registered = matches!(event, ReceiptEvent::Acknowledged | ReceiptEvent::Status);
        let item = |d: &mut Self, n: usize| ReceiptItem {
            message_id: d.id(),
            envelope: d.digest(),
            recipient: d.code(n),
            event_time: d.time(),
            queue_position: d.maybe(|d| QueuePosition(d.number())),
            arrival_number: d.maybe(Self::text).filter(|_| registered),
            reason: (event.needs_reason() || d.yes()).then(|| ReceiptReason { code: d.word(), text: d.text() }),
            status_code: StatusCode::new(u8::try_from(1 + d.below(16)).unwrap()).filter(|_| event == ReceiptEvent::Status),
        };
        Receipt {
            receipt_id: self.id(),
            event,
            issuer: self.code(0),
            original_sender: self.code(0),
            items: self.list(1, 5, item),
            copy_destroyed: event == ReceiptEvent::RecallAgreed && self.yes(),
            contact: self.maybe(Self::contact),
            created_at: self.time(),
            edge_term: EdgeTerm(self.number()),
            nonce: self.nonce(),
            observed_log: self.maybe(Self::log),
            queue_contiguous: self.maybe(|d| QueuePosition(d.number())),
            required_signers: self.signers(),
        }
    }

    fn head(&mut self) -> SenderHead {
        let event = if self.yes() {
            SenderHeadEvent::TermOpened { previous_term: self.maybe(|d| EdgeTerm(1 + d.below(99))) }
        } else {
            let first = 1 + self.below(1_000);
            let withdrawn = self.list(0, 5, |_, n| SenderSeq(first + n as u64));
            SenderHeadEvent::Head { first_seq: SenderSeq(first), last_seq: SenderSeq(first + 10), root: self.digest(), withdrawn }
        };
        SenderHead {
            statement_id: self.id(),
            agency: self.code(0),
            edge_term: EdgeTerm(100 + self.below(1 << 50)),
            event,
            feed_cursor: self.maybe(Self::number),
            created_at: self.time(),
            nonce: self.nonce(),
            observed_log: self.maybe(Self::log),
            required_signers: self.signers(),
        }
    }

    /// Any statement; facts and registry statements come from the samples.
    pub(crate) fn statement(&mut self) -> Statement {
        match self.below(4) {
            0 => Statement::Envelope(Box::new(self.envelope())),
            1 => Statement::Receipt(self.receipt()),
            2 => Statement::SenderHead(self.head()),
            _ => {
                let mut all = samples::all();
                let index = usize::try_from(self.below(all.len() as u64)).unwrap();
                all.swap_remove(index).1
            }
        }
    }
}
