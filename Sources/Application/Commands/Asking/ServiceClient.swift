import Bytes
import EventLoops
import HTTP
import JSON

/// A command that was understood and did not succeed.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String
    /// Whether it may go well a moment later: nobody answered, or somebody who cannot at the moment.
    var isPassing = false

    static let notUnderstood = CommandFailure(description: "the service's answer is not understood")
}

/// Asks a running service, from the command line.
final class ServiceClient {
    /// A good answer.
    struct Answer: Sendable {
        let status: Int
        let json: JSONValue
        /// Where the list goes on.
        let next: String?
    }

    private let address: Sockets.Address
    /// What the Host field says.
    private let host: String
    /// The service as failures name it.
    private let name: String
    private let token: String?
    // Started by the first request, so that a command may say before which signals its threads are to hear.
    private lazy var loop = {
        let loop = EventLoop()
        Threads.start("qm-client") { loop.run() }
        return loop
    }()

    /// - Parameter url: `http://HOST:PORT` or `unix:///PATH`.
    init(url: String, token: String?) throws {
        self.token = token
        if let token, !token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
            throw UsageError(description: "QM_TOKEN holds what no token has, a space or a line's end perhaps")
        }
        if url.hasPrefix("unix://") {
            address = .unix(path: String(url.dropFirst("unix://".count)))
            host = "localhost"
            name = url
            return
        }
        guard url.hasPrefix("http://") else {
            throw UsageError(description: "--url must begin with http:// or unix://")
        }
        let authority = url.dropFirst("http://".count).prefix { $0 != "/" }
        // A colon inside of brackets is an IPv6 address's.
        let colon = authority.hasSuffix("]") ? nil : authority.lastIndex(of: ":")
        let hostName = String((colon.map { authority[..<$0] } ?? authority[...]).filter { $0 != "[" && $0 != "]" })
        guard let port = colon.map({ Int(authority[authority.index(after: $0)...]) }) ?? 80, (1...65_535).contains(port)
        else { throw UsageError(description: "--url has no valid port: \(url)") }
        guard !hostName.isEmpty, authority.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw UsageError(description: "--url has no valid host: \(url)")
        }
        let found = hostName == "localhost" ? "127.0.0.1" : Resolver.numericAddresses(of: hostName).first
        guard let found else {
            throw CommandFailure(description: "there is no host \(hostName)")
        }
        address = .tcp(host: found, port: port)
        host = String(authority)
        name = host
    }

    /// Sends one request. An answer that is no success is a failure with its detail.
    func send(
        _ method: HTTPMethod, _ target: String, headers: [(String, String)] = [], body: [UInt8]? = nil
    ) throws -> Answer {
        var headers = headers + [("Accept", "application/json")]
        if body != nil, !headers.contains(where: { $0.0 == "Content-Type" }) {
            headers.append(("Content-Type", "application/json"))
        }
        let response = try exchange(method, target, headers, body)
        guard !response.body.isEmpty else { return Answer(status: response.status, json: .null, next: nil) }
        guard let json = ServiceClient.json(response.body) else { throw CommandFailure.notUnderstood }
        return Answer(
            status: response.status, json: json, next: response.field("link").flatMap(ServiceClient.nextTarget))
    }

    /// The bytes of an answer that is no JSON.
    func download(_ target: String) throws -> [UInt8] { try exchange(.get, target, [], nil).body }

    private func exchange(
        _ method: HTTPMethod, _ target: String, _ headers: [(String, String)], _ body: [UInt8]?
    ) throws -> HTTPResponse {
        let (loop, address, host, name) = (loop, address, host, name)
        let sent = headers + authorization
        let outcome = loop.runBlocking { () -> Result<HTTPResponse, CommandFailure> in
            let client = HTTPClient(loop: loop, address: address, host: host)
            defer { client.close() }
            do throws(HTTPClientError) {
                return .success(
                    try await client.send(method, target, headers: sent, body: body, timeoutUs: 30_000_000))
            } catch { return .failure(ServiceClient.failure(error, name)) }
        }
        let response = try outcome.get()
        guard (200...299).contains(response.status) else {
            throw ServiceClient.refusal(response.status, response.body)
        }
        return response
    }

    func get(_ target: String) throws -> JSONValue { try send(.get, target).json }

    /// A list, page by page: the first `most` elements, and whether there are more.
    func list(_ path: String, _ query: (_ limit: Int) -> String, most: Int) throws -> ([JSONValue], hasMore: Bool) {
        var list: [JSONValue] = []
        var target = path + query(min(most, 1000))
        while true {
            let answer = try send(.get, target)
            guard case .array(let page) = answer.json else { throw CommandFailure.notUnderstood }
            list += page
            if list.count > most { return (Array(list.prefix(most)), true) }
            guard let next = answer.next else { return (list, false) }
            if list.count == most { return (list, true) }
            target = next
        }
    }

    /// Hands on the events of a stream, and of the one that follows when a connection breaks, until `take` says no.
    /// - Parameters:
    ///   - take: called on the loop's thread, which it may block.
    ///   - note: called with what is worth telling when a connection breaks.
    func follow(
        _ target: String, note: @escaping @Sendable (String) -> Void,
        _ take: @escaping @Sendable (ServerSentEvent) -> Bool
    ) throws {
        let (loop, address, host, name) = (loop, address, host, name)
        let authorization = authorization
        let failure = loop.runBlocking { () -> CommandFailure? in
            let client = HTTPClient(loop: loop, address: address, host: host)
            defer { client.close() }
            var lastID: String?
            var wasBroken = false
            while true {
                do throws(HTTPClientError) {
                    let headers = authorization + (lastID.map { [("Last-Event-ID", $0)] } ?? [])
                    let source = try await client.openEvents(target, headers: headers)
                    if wasBroken { note("connected again") }
                    wasBroken = false
                    while let event = try await source.next() {
                        lastID = event.id ?? lastID
                        if !take(event) { return nil }
                    }
                } catch {
                    let failure = ServiceClient.failure(error, name)
                    // What has never begun is not waited for.
                    guard failure.isPassing, lastID != nil else { return failure }
                }
                if !wasBroken { note("the connection ended, trying again") }
                wasBroken = true
                await loop.sleep(us: 500_000)
            }
        }
        if let failure { throw failure }
    }

    // MARK: Inside

    private var authorization: [(String, String)] { token.map { [("Authorization", "Bearer " + $0)] } ?? [] }

    private static func json(_ bytes: [UInt8]) -> JSONValue? {
        try? bytes.withByteView { view throws(JSONError) in try JSONValue(parsing: view) }
    }

    private static func failure(_ error: HTTPClientError, _ name: String) -> CommandFailure {
        switch error {
        case .refused(let status, let body): refusal(status, body)
        case .unreachable, .connectionLost, .timeout:
            CommandFailure(description: "cannot ask \(name): \(error)", isPassing: true)
        case .malformed, .tooLarge, .closed: CommandFailure(description: "cannot ask \(name): \(error)")
        }
    }

    private static func refusal(_ status: Int, _ body: [UInt8]) -> CommandFailure {
        var detail = "the service answered with status \(status)"
        if case .string(let text)? = json(body)?["detail"] { detail = text }
        return CommandFailure(description: detail, isPassing: (502...504).contains(status))
    }

    /// The target in `<TARGET>; rel="next"`.
    private static func nextTarget(_ link: String) -> String? {
        guard link.hasPrefix("<"), link.hasSuffix("rel=\"next\""), let end = link.firstIndex(of: ">") else {
            return nil
        }
        return String(link[link.index(after: link.startIndex)..<end])
    }
}
