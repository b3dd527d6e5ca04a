import TestSupport
import Testing

@testable import Redis

/// TLS, where hiredis has it. Where it has not, an encrypted URL is refused (`ConfigurationTests`).
@Suite struct TLSTests {
    /// A server that speaks TLS only, with a certificate for 127.0.0.1 and localhost, and the file of who signed it.
    private struct Encrypted {
        let folder: TemporaryFolder
        let server: RedisServer
        let port: Int

        init() throws {
            folder = try TemporaryFolder()
            let (key, certificate) = (folder.path + "/key.pem", folder.path + "/cert.pem")
            let made = try ChildProcess(
                [
                    "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out",
                    certificate, "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                ], output: folder.path + "/openssl.log")
            guard made.wait() == 0 else { throw SetUpFailure("openssl made no certificate") }
            port = try freePort()
            server = try RedisServer(
                options: .init(arguments: [
                    "--tls-port", String(port), "--tls-cert-file", certificate, "--tls-key-file", key,
                    "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no",
                ]))
        }

        func url(_ host: String, trusting file: String? = nil) -> String {
            "rediss://\(host):\(port)" + (file.map { "?ca=\($0)" } ?? "")
        }
    }

    @Test(.enabled(if: RedisTLS.isAvailable), arguments: ["127.0.0.1", "localhost"])
    func anEncryptedConnectionCarriesAll(_ host: String) async throws {
        let encrypted = try Encrypted()
        let client = try await Client.connect(encrypted.url(host, trusting: encrypted.folder.path + "/cert.pem"))
        // More than one record, both ways.
        let long = String(repeating: "x", count: 300_000)
        #expect(try await client.send("SET", "k", long) == .status("OK"))
        #expect(try await client.send("GET", "k").string == long)
        for i in 0..<200 { #expect(try await client.send("INCR", "n").int == i + 1) }
    }

    @Test(.enabled(if: RedisTLS.isAvailable)) func whoProvesNothingIsNotSpokenTo() async throws {
        let encrypted = try Encrypted()
        // Signed by nobody whom the system trusts.
        let stranger = try await Client.start(encrypted.url("127.0.0.1"))
        #expect(await stranger.isReady(within: 1_000_000) == false)
        // The right signature for another name.
        let other = try await Client.start(
            encrypted.url("127.0.0.2", trusting: encrypted.folder.path + "/cert.pem"))
        #expect(await other.isReady(within: 1_000_000) == false)
    }
}
