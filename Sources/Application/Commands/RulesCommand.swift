import Bytes
import EventLoops
import HTTP
import JSON

/// `rules apply FILE` and `rules export`: rules of a running service as a file, for version control.
enum RulesCommand {
    static func run(_ arguments: [String]) throws -> ExitCode {
        var words: [String] = []
        var url = environmentValue("QM_URL") ?? "http://127.0.0.1:8080"
        var prunes = false
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--prune": prunes = true
            case "--url":
                guard let value = rest.popFirst() else {
                    throw ConfigurationReader.UsageError(description: "--url needs a value")
                }
                url = value
            case _ where argument.hasPrefix("--url="): url = String(argument.dropFirst(6))
            case _ where argument.hasPrefix("--"):
                throw ConfigurationReader.UsageError(description: "rules has no flag \(argument)")
            default: words.append(argument)
            }
        }
        let service = try ServiceClient(url: url, token: environmentValue("QM_TOKEN"))
        switch words.first {
        case "apply" where words.count == 2:
            let body = try Files.read(words[1])
            let reply = try service.send(.post, "/api/rate-limits/apply" + (prunes ? "?prune=true" : ""), body: body)
            guard case .object(let members) = reply,
                case .int(let count)? = members.first(where: { $0.key == "changed" })?.value
            else { throw CommandFailure(description: "the service's answer is not understood") }
            Output.line(count == 1 ? "1 rule changed" : "\(count) rules changed")
        case "export" where words.count == 1:
            Output.line(JSONValue.object([.init("rules", .array(try all(service)))]).text(pretty: true))
        default:
            throw ConfigurationReader.UsageError(description: "rules takes `apply FILE` or `export`")
        }
        return .success
    }

    /// All rules, page by page, without what only one service's history knows.
    private static func all(_ service: ServiceClient) throws -> [JSONValue] {
        let own: Set<String> = ["id", "version", "generation", "createdAt", "updatedAt"]
        var rules: [JSONValue] = []
        var cursor: String?
        while true {
            let query = "?limit=1000" + (cursor.map { "&cursor=" + $0 } ?? "")
            guard case .array(let page) = try service.send(.get, "/api/rate-limits" + query, body: nil) else {
                throw CommandFailure(description: "the service's answer is not understood")
            }
            for case .object(let members) in page {
                rules.append(.object(members.filter { !own.contains($0.key) }))
                if case .string(let id)? = members.first(where: { $0.key == "id" })?.value { cursor = id }
            }
            if page.count < 1000 { return rules }
        }
    }
}

/// Asks a running service, from the command line.
struct ServiceClient {
    private let address: Sockets.Address
    private let host: String
    private let token: String?
    private let loop = EventLoop()

    /// - Parameter url: `http://ADDRESS:PORT` with a numeric address or `localhost`, or `unix:///PATH`.
    init(url: String, token: String?) throws {
        self.token = token
        if url.hasPrefix("unix://") {
            address = .unix(path: String(url.dropFirst("unix://".count)))
            host = "localhost"
        } else {
            guard url.hasPrefix("http://") else {
                throw ConfigurationReader.UsageError(description: "--url must begin with http:// or unix://")
            }
            let authority = url.dropFirst("http://".count).prefix { $0 != "/" }
            let colon = authority.lastIndex(of: ":")
            let name = colon.map { authority[..<$0] } ?? authority[...]
            let bare = name.filter { $0 != "[" && $0 != "]" }
            guard let port = colon.map({ Int(authority[authority.index(after: $0)...]) }) ?? 80 else {
                throw ConfigurationReader.UsageError(description: "--url has no valid port: \(url)")
            }
            address = .tcp(host: bare == "localhost" ? "127.0.0.1" : bare, port: port)
            host = String(authority)
        }
        let loop = loop
        Threads.start("qm-client") { loop.run() }
    }

    /// Sends one request and returns the answer's JSON; an answer that is no success is a failure with its detail.
    func send(_ method: HTTPMethod, _ target: String, body: [UInt8]?) throws -> JSONValue {
        let (loop, address, host) = (loop, address, host)
        var headers = [("Accept", "application/json")]
        if body != nil { headers.append(("Content-Type", "application/json")) }
        if let token { headers.append(("Authorization", "Bearer " + token)) }
        let sent = headers
        let outcome = loop.runBlocking { () -> Result<(status: Int, body: [UInt8]), CommandFailure> in
            do {
                let client = HTTPClient(loop: loop, address: address, host: host)
                let response = try await client.send(method, target, headers: sent, body: body, timeoutUs: 30_000_000)
                client.close()
                return .success((response.status, response.body))
            } catch { return .failure(CommandFailure(description: "cannot ask \(host): \(error)")) }
        }
        let (status, bytes) = try outcome.get()
        let value: JSONValue? = try? bytes.withByteView { view throws(JSONError) in try JSONValue(parsing: view) }
        guard (200...299).contains(status) else {
            var detail = "status \(status)"
            if case .object(let members)? = value,
                case .string(let text)? = members.first(where: { $0.key == "detail" })?.value
            {
                detail = text
            }
            throw CommandFailure(description: detail)
        }
        return value ?? .null
    }
}
