import Bytes
import Digests
import EventLoops
import JSON
import Services
import Webhooks

/// `email_sending`: sends a message through the server of the setting `smtp-url`.
///
/// `{to: [address], cc: [address], bcc: [address], from: address (default: the setting smtp-from), replyTo: address,
/// subject, text, html}`
///
/// An address is `ada@example.com` or `Ada Lovelace <ada@example.com>`. At least one of text and html is given, and at least
/// one of to, cc and bcc. The Message-ID is the same with every attempt. Replies 5xx of the server are for good; 4xx, and
/// what goes wrong on the way, are tried again. The result is `{messageId, reply}`.
public final class EmailKind: JobKind {
    public struct Config {
        var from: Mailbox
        var to: [Mailbox] = []
        var cc: [Mailbox] = []
        var bcc: [Mailbox] = []
        var replyTo: Mailbox?
        var subject: String
        var text: String?
        var html: String?
    }

    public static let name = "email_sending"
    private static let mostRecipients = 100
    private static let maxTextBytes = 262_144

    private let server: MailServer?
    private let defaultFrom: Mailbox?
    private let prefix: String
    private let makeClient: () throws -> OutgoingClient
    private var client: OutgoingClient?

    public init(context: ServiceContext) throws {
        let settings = context.process.settings
        do { server = try settings["smtp-url"].map { try MailServer($0) } } catch {
            throw Problem.field("smtp-url", "\(error)")
        }
        defaultFrom = try settings["smtp-from"].map { text in
            guard let from = Mailbox(text) else { throw Problem.field("smtp-from", EmailKind.whatAnAddressIs) }
            return from
        }
        prefix = context.process.prefix
        makeClient = { [loop = context.loop] in OutgoingClient(loop: loop, policy: try AddressPolicy()) }
    }

    public var missingSetting: String? { server == nil ? "smtp-url" : nil }

    // MARK: Config

    private static let whatAnAddressIs = "must be an address such as ada@example.com or Ada <ada@example.com>"

    public func config(_ fields: inout Fields) throws(Problem) -> Config {
        let from = try mailboxes("from", &fields, most: 1).first ?? defaultFrom
        var config = Config(
            from: try from.required(fields.name("from")),
            subject: try fields.string("subject", max: 998).required(fields.name("subject")))
        config.to = try mailboxes("to", &fields, most: EmailKind.mostRecipients)
        config.cc = try mailboxes("cc", &fields, most: EmailKind.mostRecipients)
        config.bcc = try mailboxes("bcc", &fields, most: EmailKind.mostRecipients)
        config.replyTo = try mailboxes("replyTo", &fields, most: 1).first
        config.text = try body("text", &fields)
        config.html = try body("html", &fields)
        let count = config.to.count + config.cc.count + config.bcc.count
        guard count > 0 else { throw .field(fields.name("to"), "is required where there is neither cc nor bcc") }
        guard count <= EmailKind.mostRecipients else {
            throw .field(fields.name("to"), "must be at most \(EmailKind.mostRecipients) addresses, with cc and bcc")
        }
        guard config.text != nil || config.html != nil else {
            throw .field(fields.name("text"), "is required where there is no html")
        }
        return config
    }

    private func mailboxes(_ member: String, _ fields: inout Fields, most: Int) throws(Problem) -> [Mailbox] {
        let texts = try fields.strings(member, max: 512, maxCount: most) ?? []
        return try texts.map { text throws(Problem) in
            guard let mailbox = Mailbox(text) else {
                throw .field(fields.name(member), EmailKind.whatAnAddressIs + ", not \(text)")
            }
            return mailbox
        }
    }

    /// Text with line ends, unlike that of most fields.
    private func body(_ member: String, _ fields: inout Fields) throws(Problem) -> String? {
        guard let value = fields.value(member) else { return nil }
        guard case .string(let text) = value else { throw .field(fields.name(member), "must be a string") }
        guard text.utf8.count <= EmailKind.maxTextBytes else {
            throw .field(fields.name(member), "must be at most \(EmailKind.maxTextBytes) bytes long")
        }
        return text
    }

    // MARK: Running

    public func run(_ config: Config, _ context: JobContext) async throws -> JSONValue? {
        guard let server else {
            throw JobFailure("this worker knows no mail server: the setting smtp-url is missing", isPermanent: true)
        }
        let client = try client ?? makeClient()
        self.client = client
        let mail = mail(config, jobID: context.jobID)
        let cancellation = OutgoingCancellation()
        context.onCancel { cancellation.cancel() }
        switch await client.send(mail, by: server, cancellation: cancellation) {
        case .success(let receipt):
            return .object([.init("messageId", .string(mail.fullMessageID)), .init("reply", .string(receipt.reply))])
        case .failure(.cancelled): throw JobCancelled()
        case .failure(.replied(let code, let text)):
            throw JobFailure("the mail server said: \(text)", isPermanent: code >= 500)
        case .failure(.timedOut): throw JobFailure("the mail server took longer than \(mail.timeoutMs) ms")
        case .failure(.refused(let reason)), .failure(.unreachable(let reason)), .failure(.brokenOff(let reason)):
            throw JobFailure("the mail server \(server): \(reason)")
        }
    }

    private func mail(_ config: Config, jobID: String) -> Mail {
        var mail = Mail(
            from: config.from, to: config.to, subject: config.subject, text: config.text, html: config.html,
            messageID: "\(jobID).\(digest(config, jobID))", dateUs: WallClock.nowUs())
        mail.cc = config.cc
        mail.bcc = config.bcc
        mail.replyTo = config.replyTo
        return mail
    }

    /// Sets apart jobs of one number: of other deployments, and of a store that was emptied.
    private func digest(_ config: Config, _ jobID: String) -> String {
        let content = ByteBuffer()
        let recipients = (config.to + config.cc + config.bcc).map(\.address)
        for part in [prefix, jobID, config.subject, config.text ?? "", config.html ?? ""] + recipients {
            content.append(part)
            content.append(0)
        }
        let text = ByteBuffer()
        SHA256.hash(content.view).withByteView { text.append(hex: $0.slice(0, 8)) }
        return text.view.string
    }
}
