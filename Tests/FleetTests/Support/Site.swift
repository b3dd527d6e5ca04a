import EventLoops
import Glibc
import TestSupport

/// A site that a real nginx serves, guarded by the very lines that we give to others.
final class Site: Sendable {
    /// Where the lines stand.
    enum Lines { case deploy, readme }

    let port: Int
    private let process: ChildProcess
    private let folder: TemporaryFolder

    /// - Parameter replicas: who decides.
    init(_ replicas: [Replica], _ lines: Lines = .deploy) async throws {
        let folder = try TemporaryFolder()
        let port = try freePort()
        let guarded = try lines == .deploy ? Site.deployLines() : Site.readmeLines()
        try Site.write(guarded, folder.path, port, replicas.map(\.port))
        let process = try ChildProcess(
            ["nginx", "-c", folder.path + "/nginx.conf", "-e", folder.path + "/nginx.log"],
            output: folder.path + "/nginx.log")
        (self.folder, self.port, self.process) = (folder, port, process)
        let isUp = await eventually {
            // The one place that asks nobody: it is for nginx itself only.
            process.hasEnded
                || (try? HTTPConnection(.tcp(host: "127.0.0.1", port: port)).request("GET", "/quota"))?.status == 404
        }
        guard isUp, !process.hasEnded else { throw SetUpFailure("nginx did not start; is it installed? \(log)") }
    }

    var log: String { (try? Tree.read(folder.path + "/nginx.log")) ?? "" }

    func connect() throws -> HTTPConnection { try HTTPConnection(.tcp(host: "127.0.0.1", port: port)) }

    func get(_ path: String, headers: [(String, String)] = []) throws -> HTTPAnswer {
        try connect().request("GET", path, headers: headers)
    }

    /// Requests from so many clients at once, each over a connection of its own, until each has made so many. The answers'
    /// statuses.
    func load(_ path: String, clients: Int, requests: Int) async throws -> [Int] {
        try await withThrowingTaskGroup(of: [Int].self) { group in
            for _ in 0..<clients {
                group.addTask {
                    try await onThread {
                        let connection = try self.connect()
                        return try (0..<requests).map { _ in try connection.request("GET", path).status }
                    }
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }

    /// The files of a site.
    static func writePages(_ folder: String) throws {
        mkdir(folder, 0o755)
        for name in ["page", "open", "closed", "local", "index.html"] {
            try Tree.write("the \(name)\n", to: folder + "/" + name)
        }
    }

    private static func deployLines() throws -> String { try Tree.text("deploy/nginx/auth_request.conf") }

    /// The README's lines.
    static func readmeLines() throws -> String {
        let parts = try Tree.text("README.md").split(separator: "```nginx\n")
        guard parts.count == 2, let end = parts[1].firstRange(of: "```") else {
            throw SetUpFailure("README.md no longer has one block of nginx lines")
        }
        return String(parts[1][..<end.lowerBound])
    }

    /// Everything a configuration around the lines needs, and the files of the site. One process, so that its end by
    /// its process id leaves nothing.
    private static func write(_ given: String, _ folder: String, _ port: Int, _ replicas: [Int]) throws {
        var lines = given
        func replace(_ old: String, _ new: String) throws {
            guard lines.ranges(of: old).count == 1 else {
                throw SetUpFailure("the lines no longer have one `\(old)`")
            }
            lines = lines.replacing(old, with: new)
        }
        try replace("server 127.0.0.1:8080;", replicas.map { "server 127.0.0.1:\($0);" }.joined(separator: " "))
        try replace("listen 127.0.0.1:8000;", "listen 127.0.0.1:\(port);")
        try replace("root /var/www/html;", "root \(folder)/site;")
        try Tree.write(lines, to: folder + "/auth_request.conf")
        try Site.writePages(folder + "/site")
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(folder)/\($0);" }.joined(separator: " ")
        try Tree.write(
            """
            daemon off;
            master_process off;
            pid \(folder)/nginx.pid;
            events { worker_connections 1024; }
            http {
                access_log off;
                keepalive_requests 1000000;
                \(temporary)
                include \(folder)/auth_request.conf;
            }

            """, to: folder + "/nginx.conf")
    }
}

/// Runs blocking code on a thread of its own.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        Threads.start("test-client") { continuation.resume(with: Swift.Result { try body() }) }
    }
}
