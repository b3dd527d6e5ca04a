import EventLoops
import TestSupport
import Testing

/// TLS to Redis by stunnel, as deploy/stunnel has it: a real stunnel, and a Redis that speaks TLS only.
extension Fleet {
    @Suite(.serialized) struct StunnelTests {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        @Test func quartermasterSpeaksToRedisThroughIt() async throws {
            try await authority("ca")
            try await certificate("redis", by: "ca", name: "redis.example.net")
            try await certificate("client", by: "ca", name: "client")
            let (tlsPort, localPort) = (try freePort(), try freePort())
            let redis = try redisWithTLS(tlsPort)
            defer { redis.kill() }
            let tunnel = try stunnel(localPort, tlsPort)
            defer { tunnel.kill() }
            let replica = try await Replica(["serve", "--redis", "redis://127.0.0.1:\(localPort)"])
            #expect(try replica.request("GET", "/readyz?redis").status == 200)
            try replica.rule(#"{"name":"api","strategy":"token_bucket","limit":5,"window":"1s"}"#)
            #expect(try replica.check(#"{"identifier":"ann"}"#).status == 200)
            // Without TLS Redis speaks to nobody.
            let plain = try? RESPConnection(.tcp(host: "127.0.0.1", port: tlsPort)).command(["PING"])
            #expect(plain == nil)
        }

        /// A Redis whose certificate is another authority's, or another name's, is none to speak to.
        @Test(arguments: [("stranger", "redis.example.net"), ("ca", "other.example.net")])
        func aWrongCertificateIsRefused(_ authorityName: String, _ name: String) async throws {
            try await authority("ca")
            if authorityName != "ca" { try await authority(authorityName) }
            try await certificate("redis", by: authorityName, name: name)
            try await certificate("client", by: "ca", name: "client")
            let (tlsPort, localPort) = (try freePort(), try freePort())
            let redis = try redisWithTLS(tlsPort)
            defer { redis.kill() }
            let tunnel = try stunnel(localPort, tlsPort)
            defer { tunnel.kill() }
            let log = folder.path + "/stunnel.log"
            var answers = 0
            let isRefused = await eventually {
                if (try? RESPConnection(.tcp(host: "127.0.0.1", port: localPort)).command(["PING"])) != nil {
                    answers += 1
                }
                return ((try? Tree.read(log)) ?? "").contains("certificate verify failed")
            }
            #expect(isRefused && answers == 0)
        }

        // MARK: Inside

        private func redisWithTLS(_ port: Int) throws -> ChildProcess {
            let tls = try Tree.text("deploy/redis/tls.conf").replacing("/etc/redis/tls/", with: folder.path + "/")
                .replacing("tls-port 6379", with: "tls-port \(port)")
            try Tree.write(tls + "save \"\"\ndir \(folder.path)\n", to: folder.path + "/redis.conf")
            return try ChildProcess(
                ["redis-server", folder.path + "/redis.conf"], output: folder.path + "/redis.log")
        }

        /// The shipped lines with these ports and files.
        private func stunnel(_ localPort: Int, _ tlsPort: Int) throws -> ChildProcess {
            let lines = try Tree.text("deploy/stunnel/redis-client.conf")
                .replacing("/etc/quartermaster/tls/", with: folder.path + "/")
                .replacing("accept = 127.0.0.1:6380", with: "accept = 127.0.0.1:\(localPort)")
                .replacing("connect = redis.example.net:6379", with: "connect = 127.0.0.1:\(tlsPort)")
            try Tree.write(lines, to: folder.path + "/stunnel.conf")
            return try ChildProcess(
                ["stunnel4", folder.path + "/stunnel.conf"], output: folder.path + "/stunnel.log")
        }

        private func authority(_ name: String) async throws {
            try await openssl(
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=\(name)", "-keyout", "\(name).key", "-out", "\(name).pem")
        }

        private func certificate(_ file: String, by authority: String, name: String) async throws {
            try Tree.write("subjectAltName = DNS:\(name)\n", to: folder.path + "/\(file).ext")
            try await openssl(
                "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=\(name)",
                "-keyout", "\(file).key", "-out", "\(file).csr")
            try await openssl(
                "x509", "-req", "-in", "\(file).csr", "-CA", "\(authority).pem", "-CAkey", "\(authority).key",
                "-CAcreateserial", "-days", "2", "-extfile", "\(file).ext", "-out", "\(file).pem")
        }

        private func openssl(_ words: String...) async throws {
            let openssl = try await Tool.run(["openssl"] + words, in: folder.path)
            guard openssl.code == 0 else { throw SetUpFailure(openssl.said) }
        }
    }
}
