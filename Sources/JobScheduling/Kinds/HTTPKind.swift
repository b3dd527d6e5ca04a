import Bytes
import EventLoops
import JSON
import Services
import Webhooks

/// `http`: calls a URL.
///
/// `{url, method: POST (default) | PUT | PATCH | DELETE | GET, headers: {name: value}, body: any JSON, timeoutMs: 100…600000
/// (default 30000), signWith: name of a secret}`
///
/// The other side can tell a repetition by `Idempotency-Key` (the job's id), an execution that has lost its lease by
/// `X-Quartermaster-Token` (it grows with every execution), and us by `X-Quartermaster-Signature: t=…,v1=…`: v1 is the
/// HMAC-SHA256, in hex, of t (seconds since 1970), a dot and the body.
///
/// A 2xx completes the job, with `{status, body}` as its result: JSON where it is JSON, `bodyCut: true` where it was longer
/// than 64 KiB. 408, 429, 5xx and what goes wrong on the way are tried again, not sooner than a `Retry-After` says; every
/// other status, redirects among them, is for good.
public final class HTTPKind: JobKind {
    public struct Config {
        var url: WebAddress
        var method = Method.post
        var headers: [(name: String, value: String)] = []
        var body: JSONValue?
        var timeoutMs = 30_000
        var signWith: String?
    }

    enum Method: String, CaseIterable {
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"
        case get = "GET"
    }

    public static let name = "http"
    private let policy: AddressPolicy
    private let secrets: NamedSecrets
    private let makeClient: () -> OutgoingClient
    private lazy var client = makeClient()

    public init(context: ServiceContext) throws {
        let settings = context.process.settings
        let policy = try HTTPKind.policy(settings)
        self.policy = policy
        secrets = try NamedSecrets(setting: settings["webhook-secrets"])
        makeClient = { [loop = context.loop] in OutgoingClient(loop: loop, policy: policy) }
    }

    private static func policy(_ settings: [String: String]) throws(Problem) -> AddressPolicy {
        let hosts = settings["http-allowed-hosts"] ?? ""
        let inside = settings["http-allow-private"] ?? ""
        do { _ = try AddressPolicy(hosts: hosts) } catch { throw .field("http-allowed-hosts", error.description) }
        do { return try AddressPolicy(hosts: hosts, inside: inside) } catch {
            throw .field("http-allow-private", error.description)
        }
    }

    // MARK: Config

    public func config(_ fields: inout Fields) throws(Problem) -> Config {
        let text = try fields.string("url", max: WebAddress.maxBytes).required(fields.name("url"))
        let url: WebAddress
        do { url = try WebAddress(text) } catch { throw .field(fields.name("url"), error.description) }
        if let reason = policy.refusal(of: url) { throw .impossible(fields.name("url"), "is refused: \(reason)") }
        var config = Config(url: url)
        config.method = try fields.word("method", Method.self) ?? .post
        config.headers = try headers(&fields)
        config.body = fields.value("body")
        if config.method == .get, config.body != nil { throw .field(fields.name("body"), "cannot go with GET") }
        config.timeoutMs = try fields.durationMs("timeoutMs", in: 100...600_000) ?? config.timeoutMs
        config.signWith = try fields.string("signWith", max: 64)
        if let name = config.signWith, !secrets.mayKnow(name) {
            throw .impossible(fields.name("signWith"), "is not the name of a secret that is known here")
        }
        return config
    }

    /// Headers that are ours to set, or the connection's.
    private static let ownHeaders: Set<String> = [
        "host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-authorization",
        "proxy-authenticate", "proxy-connection", "te", "trailer", "upgrade", "expect", "idempotency-key",
        "traceparent",
    ]

    private func headers(_ fields: inout Fields) throws(Problem) -> [(name: String, value: String)] {
        let all = fields.name("headers")
        guard let value = fields.value("headers") else { return [] }
        guard case .object(let members) = value else { throw .field(all, "must be an object") }
        guard members.count <= 32 else { throw .field(all, "must have at most 32 members") }
        return try members.map { member throws(Problem) in
            let lowercased = member.key.lowercased()
            guard (1...128).contains(member.key.utf8.count), member.key.utf8.allSatisfy(HTTPKind.isTokenByte) else {
                throw .field(all, "must have names of headers, not \"\(member.key)\"")
            }
            guard !HTTPKind.ownHeaders.contains(lowercased), !lowercased.hasPrefix("x-quartermaster-") else {
                throw .field("\(all).\(member.key)", "cannot be set")
            }
            guard case .string(let text) = member.value, text.utf8.count <= 4096,
                text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }), text.utf8.contains(where: { $0 != 0x20 })
            else { throw .field("\(all).\(member.key)", "must be a string of 1 to 4096 ASCII characters") }
            return (member.key, text)
        }
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    // MARK: Running

    public func run(_ config: Config, _ context: JobContext) async throws -> JSONValue? {
        let request = try request(config, context)
        let cancellation = OutgoingCancellation()
        context.onCancel { cancellation.cancel() }
        switch await client.post(request, cancellation: cancellation) {
        case .success(let response): return try HTTPKind.result(response)
        case .failure(.cancelled): throw JobCancelled()
        case .failure(.refused(let reason)): throw JobFailure(reason, isPermanent: true)
        case .failure(.timedOut): throw JobFailure("no answer within \(config.timeoutMs) ms")
        case .failure(.unreachable(let reason)): throw JobFailure("no connection: \(reason)")
        case .failure(.brokenOff(let reason)), .failure(.replied(_, let reason)):
            throw JobFailure("the connection failed: \(reason)")
        }
    }

    private func request(_ config: Config, _ context: JobContext) throws -> OutgoingRequest {
        let body = config.body.map { Array($0.text().utf8) }
        var headers = config.headers
        if body != nil, !headers.contains(where: { $0.name.lowercased() == "content-type" }) {
            headers.append(("Content-Type", "application/json"))
        }
        headers.append(("Idempotency-Key", context.jobID))
        headers.append(("X-Quartermaster-Execution", context.executionID))
        headers.append(("X-Quartermaster-Token", String(context.token)))
        // It came with a request: what is no such header is not passed on.
        if let trace = context.traceparent, trace.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
            headers.append(("traceparent", trace))
        }
        if let name = config.signWith {
            let stamp = String(WallClock.nowUs() / 1_000_000)
            let signed = Array((stamp + ".").utf8) + (body ?? [])
            guard let signature = signed.withByteView({ secrets.signature(of: $0, with: name) }) else {
                // Another worker may have it.
                throw JobFailure("no secret named \(name) is known to this worker", retryAfterMs: 30_000)
            }
            headers.append(("X-Quartermaster-Signature", "t=\(stamp),v1=\(signature)"))
        }
        var request = OutgoingRequest(config.method.rawValue, config.url, headers: headers, body: body)
        request.timeoutMs = config.timeoutMs
        request.connectTimeoutMs = min(config.timeoutMs, request.connectTimeoutMs)
        return request
    }

    static func result(_ response: OutgoingResponse) throws(JobFailure) -> JSONValue {
        switch response.status {
        case 200...299:
            var members: [JSONValue.Member] = [.init("status", .int(response.status))]
            if !response.body.isEmpty {
                let json = response.body.withByteView { try? JSONValue(parsing: $0) }
                members.append(.init("body", json ?? .string(String(decoding: response.body, as: UTF8.self))))
            }
            if response.isCut { members.append(.init("bodyCut", .bool(true))) }
            return .object(members)
        case 408, 429, 500...599:
            let wait = response.header("retry-after").flatMap {
                RetryAfter.ms($0, date: response.header("date"), nowS: Int(WallClock.nowUs() / 1_000_000))
            }
            throw JobFailure(HTTPKind.words(response), retryAfterMs: wait)
        default: throw JobFailure(HTTPKind.words(response), isPermanent: true)
        }
    }

    /// The status, and the beginning of what stood below it.
    private static func words(_ response: OutgoingResponse) -> String {
        let text = String(decoding: response.body.prefix(300), as: UTF8.self)
        let plain = String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 }.filter { $0 >= " " && $0 != "\u{7F}" })
        return "the answer was \(response.status)" + (plain.isEmpty ? "" : ": \(plain)")
    }
}
