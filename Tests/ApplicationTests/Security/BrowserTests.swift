import CLinux
import Glibc
import Services
import TestSupport
import Testing

extension Security {
    /// What pages of somebody else's can do through a visitor's browser: nothing.
    @Suite struct BrowserTests {
        private static let check = #"{"identifier":"ann"}"#

        private func raw(
            _ server: TestServer, _ method: String, _ target: String, host: String, _ headers: [(String, String)] = [],
            body: String? = nil
        ) throws -> HTTPAnswer {
            let plain = HTTPConnection.encode(method, target, headers: headers, body: body)
            let text = String(decoding: plain, as: UTF8.self).replacing("Host: test\r\n", with: "Host: \(host)\r\n")
            let connection = try server.connect()
            try connection.send([Array(text.utf8)])
            return try connection.receive()
        }

        private func post(
            _ server: TestServer, _ headers: [(String, String)], host: String = "localhost:8080"
        ) throws -> Int {
            try raw(server, "POST", "/api/rate-limits/check", host: host, headers, body: Self.check).status
        }

        @Test func namesThatOthersCanPointAtUsAreRefused() throws {
            let server = try TestServer(redis: try RedisServer.shared) {
                $0.allowedHosts = ["qm.example.com", "Other.example.com:8080"]
            }
            for host in [
                "127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "[::1]", "localhost", "LOCALHOST:8080", "localhost.",
                "qm.localhost:1", "quartermaster", "quartermaster:80", "192.0.2.1", "qm.example.com",
                "QM.example.com:8080", "other.example.com:8080",
            ] {
                #expect(try raw(server, "GET", "/api/rate-limits", host: host).status == 200, "\(host)")
            }
            for host in [
                "evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example",
                "127.0.0.1.nip.io:8080", "evillocalhost.a", "qm.example.com.evil.example", "xqm.example.com",
                "other.example.com", "other.example.com:8081", "1.2.3", "evil.",
            ] {
                let answer = try raw(server, "GET", "/api/rate-limits", host: host)
                #expect(answer.status == 403 && answer.text.contains("--allowed-hosts"), "\(host)")
                #expect(try post(server, [], host: host) == 403, "\(host)")
            }
            // One that was found to be good opens for no other.
            let connection = try server.connect()
            for (host, status) in [("localhost", 200), ("evil.example", 403), ("localhost", 200)] {
                let request = "GET /healthz HTTP/1.1\r\nHost: \(host)\r\n\r\n"
                try connection.send([Array(request.utf8)])
                #expect(try connection.receive().status == status)
            }
        }

        /// Tokens are what protects there, and a proxy that was named speaks for whom it likes.
        @Test func hostsAreFreeWithTokensAndBehindProxies() throws {
            let redis = try RedisServer.shared
            let tokens = try Tokens(file: tokenLine("ann", "read", "t"))
            let guarded = try TestServer(redis: redis, tokens: tokens)
            #expect(try raw(guarded, "GET", "/api/rate-limits", host: "shop.example.com", bearer("t")).status == 200)
            let proxied = try TestServer(redis: redis) { $0.trustedProxies = [AddressBlock("127.0.0.1")!] }
            #expect(try raw(proxied, "GET", "/api/rate-limits", host: "shop.example.com").status == 200)
        }

        /// What a proxy may ask for, a browser that comes by itself may not, also right after the proxy did.
        @Test func aHostOfAProxyIsNobodyElses() throws {
            let server = try TestServer(redis: try RedisServer.shared) {
                $0.trustedProxies = [AddressBlock("127.0.0.2")!]
            }
            let proxy = try connect(from: "127.0.0.2", to: server)
            let browser = try server.connect()
            let request = "GET /api/rate-limits HTTP/1.1\r\nHost: shop.example.com\r\n\r\n"
            for _ in 0..<2 {
                for (connection, status) in [(proxy, 200), (browser, 403)] {
                    try connection.send([Array(request.utf8)])
                    #expect(try connection.receive().status == status)
                }
            }
        }

        /// - Parameter address: of the loopback.
        private func connect(from address: String, to server: TestServer) throws -> HTTPConnection {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            func end(_ address: String, port: Int) -> sockaddr_in {
                var end = sockaddr_in()
                end.sin_family = sa_family_t(AF_INET)
                end.sin_port = in_port_t(port).bigEndian
                inet_pton(AF_INET, address, &end.sin_addr)
                return end
            }
            func call(_ function: (Int32, UnsafePointer<sockaddr>?, socklen_t) -> Int32, _ end: sockaddr_in) -> Bool {
                withUnsafeBytes(of: end) { bytes in
                    bytes.withMemoryRebound(to: sockaddr.self) {
                        function(descriptor, $0.baseAddress!, socklen_t(bytes.count)) == 0
                    }
                }
            }
            let isConnected =
                call(qm_bind, end(address, port: 0)) && call(qm_connect, end("127.0.0.1", port: server.port))
            guard isConnected else { throw SetUpFailure("no connection from \(address)") }
            return HTTPConnection(descriptor: descriptor)
        }

        @Test func pagesOfOtherOriginsChangeNothing() throws {
            let server = try TestServer(redis: try RedisServer.shared) { $0.allowedHosts = ["qm.example.com"] }
            let own = ("Origin", "http://localhost:8080")
            // Programs say nothing of an origin.
            #expect(try post(server, []) == 200)
            for headers in [
                [own], [("Origin", "HTTP://LocalHost:8080")], [("Sec-Fetch-Site", "same-origin")],
                [("Sec-Fetch-Site", "none")], [own, ("Sec-Fetch-Site", "same-origin")],
                [("Origin", "https://qm.example.com")],
                [("Origin", "https://shop.example"), ("X-Forwarded-Host", "shop.example")],
            ] {
                #expect(try post(server, headers) == 200, "\(headers)")
            }
            for headers in [
                [("Origin", "http://evil.example")], [("Origin", "null")], [("Origin", "")],
                [("Origin", "localhost:8080")],
                [("Origin", "http://localhost")], [("Origin", "http://localhost:80801")],
                [("Origin", "http://localhost:8080.evil.example")], [("Origin", "http://localhost:8080@evil.example")],
                [("Sec-Fetch-Site", "cross-site")], [("Sec-Fetch-Site", "same-site")], [("Sec-Fetch-Site", "")],
                [own, ("Sec-Fetch-Site", "cross-site")],
                [("Origin", "https://shop.example"), ("X-Forwarded-Host", "other.example")],
            ] {
                #expect(try post(server, headers) == 403, "\(headers)")
                for method in ["PUT", "DELETE", "PATCH"] {
                    let status = try raw(server, method, "/api/rate-limits/r", host: "localhost:8080", headers).status
                    // There is no PATCH here, and no route is no handler.
                    #expect(status == (method == "PATCH" ? 405 : 403), "\(method) \(headers)")
                }
                // Reading is left to the browser, which shows the answer to no page of another origin.
                let read = try raw(server, "GET", "/api/rate-limits", host: "localhost:8080", headers)
                #expect(read.status == 200 && read.header("Access-Control-Allow-Origin") == nil)
                let preflight = try raw(server, "OPTIONS", "/api/rate-limits", host: "localhost:8080", headers)
                #expect(preflight.status == 204 && !preflight.headers.contains { $0.name.hasPrefix("Access-") })
            }
        }

        /// Forms can be sent from anywhere without a word from us.
        @Test func formsAreNoRequests() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            let own = ("Origin", "http://localhost:8080")
            for type in ["text/plain", "application/x-www-form-urlencoded; a=b", "Multipart/Form-Data; boundary=x", ""]
            {
                #expect(try post(server, [own, ("Content-Type", type)]) == 415, "\(type)")
            }
            #expect(try post(server, [own, ("Content-Type", "application/json; charset=utf-8")]) == 200)
            // What curl says with -d is a program's.
            #expect(try post(server, [("Content-Type", "application/x-www-form-urlencoded")]) == 200)
        }

        /// Proxies ask for the requests they guard, whose origins are none of ours.
        @Test func forwardAuthIsForEveryOrigin() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                let status = try raw(
                    server, method, "/api/rate-limits/authorize", host: "localhost",
                    [("Origin", "https://shop.example"), ("Sec-Fetch-Site", "cross-site")]
                ).status
                #expect(status == 200, "\(method)")
            }
        }

        @Test func everyAnswerKeepsBrowsersFromGuessing() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            for target in ["/healthz", "/metrics", "/api/rate-limits", "/nowhere", "/api/rate-limits/none"] {
                let answer = try server.request("GET", target)
                #expect(answer.header("X-Content-Type-Options") == "nosniff", "\(target)")
                #expect(answer.headers.filter { $0.name == "X-Content-Type-Options" }.count == 1)
            }
            let connection = try server.connect()
            try connection.send([Array("nonsense\r\n\r\n".utf8)])
            #expect(try connection.receive().header("X-Content-Type-Options") == "nosniff")
        }

        /// Only what can do no harm wherever it is pasted comes back; anything else gets an id of ours.
        @Test(arguments: [
            ("abc-123", true), (String(repeating: "a", count: 128), true), (String(repeating: "a", count: 129), false),
            ("a b", false), ("a\tb", false), ("é", false), ("\u{2028}", false), ("\u{9B}31m", false), ("", false),
        ])
        func requestIDsComeBackIfTheyAreHarmless(_ id: String, _ comesBack: Bool) throws {
            let server = try TestServer(redis: try RedisServer.shared)
            for target in ["/healthz", "/api/rate-limits/none"] {
                let answer = try server.request("GET", target, headers: [("X-Request-Id", id)])
                let ids = answer.headers.filter { $0.name == "X-Request-Id" }.map(\.value)
                #expect(ids.count == 1 && (ids[0] == id) == comesBack, "\(ids)")
                if !comesBack { #expect(ids[0].count == 16 && ids[0].allSatisfy(\.isHexDigit)) }
            }
        }
    }
}
