import EventLoops
import Glibc
import TestSupport

/// A site behind a proxy that asks a replica about each request, by the proxy's file in deploy/.
final class GuardedSite: Sendable {
    enum Proxy: String, CaseIterable { case nginx, traefik, caddy, envoy }

    private let port: Int
    private let process: ChildProcess
    private let site: ChildProcess?
    private let folder: TemporaryFolder
    /// Whom it asks.
    let replica: Replica
    private let redis: RedisServer

    init(_ proxy: Proxy) async throws {
        let redis = try RedisServer()
        let replica = try await Replica.serve(redis, "--trusted-proxies", "127.0.0.1")
        let folder = try TemporaryFolder()
        let port = try freePort()
        try Site.writePages(folder.path + "/site")
        if proxy == .nginx {
            let lines = try GuardedSite.lines("nginx/auth_request.conf", port, replica.port)
                .replacing("/var/www/html", with: folder.path + "/site")
            process = try GuardedSite.nginx(lines, folder.path, "guard")
            site = nil
        } else {
            let behind = try freePort()
            process = try GuardedSite.start(proxy, folder.path, port, behind, replica.port)
            site = try GuardedSite.nginx(
                "server { listen 127.0.0.1:\(behind); root \(folder.path)/site; }", folder.path, "site")
        }
        (self.folder, self.port, self.redis, self.replica) = (folder, port, redis, replica)
        let isUp = await eventually {
            process.hasEnded || (try? request("GET", "/open").text) == "the open\n"
        }
        guard isUp, !process.hasEnded else { throw SetUpFailure("\(proxy) did not start: \(log)") }
    }

    deinit {
        process.kill()
        site?.kill()
    }

    /// What the proxy has said.
    var log: String { (try? Tree.read(folder.path + "/proxy.log")) ?? "" }

    func request(
        _ method: String, _ target: String, host: String = "test", headers: [(String, String)] = [], body: String? = nil
    ) throws -> HTTPAnswer {
        let connection = try HTTPConnection(.tcp(host: "127.0.0.1", port: port))
        let bytes = HTTPConnection.encode(method, target, headers: headers, body: body)
        let text = String(decoding: bytes, as: UTF8.self).replacing("Host: test\r\n", with: "Host: \(host)\r\n")
        try connection.send([Array(text.utf8)])
        return try connection.receive(isHead: method == "HEAD")
    }

    /// A shipped file with the ports of this test; the site's own files are served at `behind`.
    private static func lines(_ file: String, _ port: Int, _ replica: Int, behind: Int = 0) throws -> String {
        var lines = try Tree.text("deploy/" + file)
        for (old, new) in [(8000, port), (8080, replica), (8001, behind)] {
            lines = lines.replacing("127.0.0.1:\(old)", with: "127.0.0.1:\(new)")
                .replacing("port_value: \(old)", with: "port_value: \(new)")
                .replacing("http://:\(old)", with: "http://:\(new)")
        }
        return lines
    }

    private static func start(
        _ proxy: Proxy, _ folder: String, _ port: Int, _ behind: Int, _ replica: Int
    ) throws -> ChildProcess {
        let words: [String]
        switch proxy {
        case .nginx: words = []
        case .traefik:
            let lines = try lines("traefik/forward-auth.yaml", port, replica, behind: behind)
            try Tree.write(lines, to: folder + "/forward-auth.yaml")
            words = [
                "--entryPoints.web.address=127.0.0.1:\(port)", "--global.checkNewVersion=false",
                "--global.sendAnonymousUsage=false", "--providers.file.filename=\(folder)/forward-auth.yaml",
            ]
        case .caddy:
            let lines = try lines("caddy/Caddyfile", port, replica).replacing("/var/www/html", with: folder + "/site")
            try Tree.write("{\n\tadmin off\n}\n" + lines, to: folder + "/Caddyfile")
            words = ["run", "--config", folder + "/Caddyfile", "--adapter", "caddyfile"]
        case .envoy:
            let lines = try lines("envoy/ext_authz.yaml", port, replica, behind: behind)
            try Tree.write(lines, to: folder + "/envoy.yaml")
            words = ["-c", folder + "/envoy.yaml", "--disable-hot-restart", "--concurrency", "1"]
        }
        let program = try testProgram(proxy.rawValue)
        return try ChildProcess(["env", "HOME=\(folder)", program] + words, output: folder + "/proxy.log")
    }

    /// A real nginx with these servers, as one process.
    private static func nginx(_ servers: String, _ folder: String, _ name: String) throws -> ChildProcess {
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(folder)/\(name)-\($0);" }.joined(separator: " ")
        try Tree.write(
            """
            daemon off; master_process off; pid \(folder)/\(name).pid; events {}
            http { access_log off; default_type text/plain; \(temporary) \(servers) }

            """, to: folder + "/\(name).conf")
        let log = folder + (name == "guard" ? "/proxy.log" : "/\(name).log")
        return try ChildProcess(["nginx", "-c", folder + "/\(name).conf", "-e", log], output: log)
    }

    /// A program that Debian does not have; deploy/test keeps those in the user's cache.
    private static func testProgram(_ name: String) throws -> String {
        let cache = Environment["XDG_CACHE_HOME"] ?? (Environment["HOME"] ?? "") + "/.cache"
        let folders = (Environment["PATH"] ?? "").split(separator: ":").map(String.init)
        for folder in folders + [cache + "/quartermaster/test-programs"] where access(folder + "/" + name, X_OK) == 0 {
            return folder + "/" + name
        }
        throw SetUpFailure("there is no program \(name); deploy/test installs it")
    }
}
