import Bytes

/// A message to send, as its writer means it; `message` is how it travels (RFC 5322).
public struct Mail: Sendable {
    public var from: Mailbox
    public var to: [Mailbox]
    public var cc: [Mailbox] = []
    /// They get the message and are not named in it.
    public var bcc: [Mailbox] = []
    public var replyTo: Mailbox?
    public var subject: String
    /// One of the two at least; with both, the reader's program chooses.
    public var text: String?
    public var html: String?
    /// What stands before the `@` of the Message-ID: letters, digits, `.`, `-`, `_`; the same whenever the message is
    /// sent again, so that it can be told to be the same.
    public var messageID: String
    /// Microseconds since the Unix epoch.
    public var dateUs: Int64
    /// For all of the sending.
    public var timeoutMs = 60_000

    public init(
        from: Mailbox, to: [Mailbox], subject: String, text: String?, html: String? = nil, messageID: String,
        dateUs: Int64
    ) {
        self.from = from
        self.to = to
        self.subject = subject
        self.text = text
        self.html = html
        self.messageID = messageID
        self.dateUs = dateUs
    }

    /// The whole Message-ID, with its angle brackets.
    public var fullMessageID: String {
        let left = messageID.unicodeScalars.map { scalar -> Character in
            let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
            return isPlain || scalar == "-" || scalar == "_" || scalar == "." ? Character(scalar) : "_"
        }
        return "<\(String(left))@\(from.domain)>"
    }

    /// Everybody who gets it, each address once.
    var recipients: [String] {
        var seen: Set<String> = []
        return (to + cc + bcc).map(\.address).filter { seen.insert($0).inserted }
    }

    /// The message. Every header's value is made of parts that cannot hold a line end.
    var message: String {
        var lines = "Date: \(Mail.date(dateUs))\r\n"
        lines += "From: \(Mail.list([from]))\r\n"
        if let replyTo { lines += "Reply-To: \(Mail.list([replyTo]))\r\n" }
        if !to.isEmpty { lines += "To: \(Mail.list(to))\r\n" }
        if !cc.isEmpty { lines += "Cc: \(Mail.list(cc))\r\n" }
        if to.isEmpty, cc.isEmpty { lines += "To: undisclosed-recipients:;\r\n" }
        lines += "Subject: \(MailEncoding.unstructured(subject))\r\n"
        lines += "Message-ID: \(fullMessageID)\r\n"
        // No answers from programs that answer for somebody who is away (RFC 3834).
        lines += "Auto-Submitted: auto-generated\r\n"
        lines += "MIME-Version: 1.0\r\n"
        switch (text, html) {
        case (let text?, let html?):
            // A line of base64 never begins with it.
            let boundary = "=_alternative"
            lines += "Content-Type: multipart/alternative; boundary=\"\(boundary)\"\r\n\r\n"
            for (kind, body) in [("plain", text), ("html", html)] {
                lines += "--\(boundary)\r\n" + Mail.part(kind, body)
            }
            lines += "--\(boundary)--\r\n"
        case (nil, let html?): lines += Mail.part("html", html)
        case (let text, nil): lines += Mail.part("plain", text ?? "")
        }
        return lines
    }

    private static func part(_ kind: String, _ body: String) -> String {
        "Content-Type: text/\(kind); charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + MailEncoding.base64Lines(Array(MailEncoding.withLineEnds(body).utf8))
    }

    private static func list(_ mailboxes: [Mailbox]) -> String {
        mailboxes.map { mailbox in
            guard let name = mailbox.name else { return mailbox.address }
            return "\(MailEncoding.phrase(name)) <\(mailbox.address)>"
        }.joined(separator: ",\r\n ")
    }

    /// `Sun, 22 Nov 2026 23:05:00 +0000`.
    private static func date(_ us: Int64) -> String {
        let seconds = Int(us / 1_000_000)
        let day = CalendarDate(daysSinceEpoch: seconds / 86_400)
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let time = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }
        return "\(weekdays[seconds / 86_400 % 7]), \(day.day) \(months[day.month - 1]) \(day.year) "
            + time.joined(separator: ":") + " +0000"
    }
}
