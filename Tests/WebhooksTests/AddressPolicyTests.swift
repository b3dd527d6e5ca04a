import Testing

@testable import Webhooks

struct AddressPolicyTests {
    private static func refusal(_ url: String, hosts: String = "", inside: String = "") throws -> String? {
        try AddressPolicy(hosts: hosts, inside: inside).refusal(of: try WebAddress(url))
    }

    @Test(arguments: [
        "127.0.0.1", "127.9.9.9", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "0", "0.0.0.0",
        "%31%32%37.0.0.1",
        "10.1.2.3", "100.64.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192", "224.0.0.1", "255.255.255.255", "198.18.0.1", "203.0.113.9", "localhost", "LOCALHOST",
        "localhost.",
        "a.localhost", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
        "[64:ff9b:1::1]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2002:7f00:1::]",
        "[2001:0:7f00:1::]", "[2001:db8::1]", "[fec0::1]",
        "[::ffff:0:7f00:1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::a00:1]", "[2002:a9fe:a9fe::1]",
        "[::]", "[0:0:0:0:0:0:0:1]", "[::a9fe:a9fe]", "[100::1]", "[5f00::1]", "0xa9fea9fe", "2852039166",
        "0251.0376.0251.0376", "169.254.43518", "0x7f.0.0.0x1", "017700000001", "127.0.0.1.", "10.0.0.1.", "0x0",
        "metadata.localhost.", "LocalHost.",
    ])
    func hostsOfOurOwnAreRefused(_ host: String) throws {
        #expect(try AddressPolicyTests.refusal("http://\(host)/") != nil)
        #expect(try AddressPolicyTests.refusal("https://\(host):8443/a?b") != nil)
    }

    @Test(arguments: [
        "example.com", "1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "[2606:4700::1111]",
        "[64:ff9b::101:101]",
        "[::ffff:1.1.1.1]", "notlocalhost", "127.0.0.1.example.com",
    ])
    func othersAreNot(_ host: String) throws {
        #expect(try AddressPolicyTests.refusal("http://\(host)/") == nil)
    }

    /// A request's lines must not reach what might take them for its own protocol's.
    @Test func portsOfOtherProtocolsAreRefused() throws {
        for port in [0, 1, 22, 23, 25, 53, 110, 143, 465, 587, 6000, 6379, 6667, 11211, 26379] {
            for host in ["example.com", "1.1.1.1", "127.0.0.1"] {
                let refusal = try AddressPolicyTests.refusal("http://\(host):\(port)/", inside: "true")
                #expect(refusal?.contains("port") == true, "\(host):\(port)")
            }
        }
        for port in [80, 443, 3000, 8080, 8443, 9000, 65535] {
            #expect(try AddressPolicyTests.refusal("https://example.com:\(port)/") == nil, "\(port)")
        }
    }

    @Test func aListOfHostsIsExact() throws {
        let hosts = "api.example.com, *.Example.org"
        for host in ["api.example.com", "API.example.com", "api.example.com.", "a.example.org", "a.b.example.org"] {
            #expect(try AddressPolicyTests.refusal("https://\(host)/", hosts: hosts) == nil, "\(host)")
        }
        for host in [
            "example.com", "xapi.example.com", "api.example.com.evil.net", "example.org", "evilexample.org", "1.1.1.1",
        ] {
            #expect(try AddressPolicyTests.refusal("https://\(host)/", hosts: hosts) != nil, "\(host)")
        }
        // Being listed does not make an address public.
        #expect(try AddressPolicyTests.refusal("http://127.0.0.1/", hosts: "127.0.0.1") != nil)
    }

    @Test func insideAddressesAreOpenedByKindOrByBlock() throws {
        for host in ["127.0.0.1", "10.0.0.1", "localhost", "[::1]", "[fd12::1]", "[::ffff:10.0.0.1]"] {
            #expect(try AddressPolicyTests.refusal("http://\(host)/", inside: "true") == nil, "\(host)")
        }
        for host in ["169.254.169.254", "0.0.0.0", "[fe80::1]", "[fd00:ec2::254]", "224.0.0.1", "100.100.100.200"] {
            #expect(try AddressPolicyTests.refusal("http://\(host)/", inside: "true") != nil, "\(host)")
        }
        let blocks = "10.1.0.0/16,169.254.1.1,fd12::/15"
        for host in ["10.1.255.1", "169.254.1.1", "[fd12::1]", "[fd13::1]"] {
            #expect(try AddressPolicyTests.refusal("http://\(host)/", inside: blocks) == nil, "\(host)")
        }
        for host in ["10.2.0.1", "127.0.0.1", "169.254.1.2", "[fd14::1]", "[::1]"] {
            #expect(try AddressPolicyTests.refusal("http://\(host)/", inside: blocks) != nil, "\(host)")
        }
    }

    @Test(arguments: ["yes", "10.0.0.0/33", "10.0.0", "10.0.0.0/", "::/129"])
    func wrongBlocksAreRefused(_ text: String) {
        #expect(throws: AddressPolicy.SettingError.self) { try AddressPolicy(inside: text) }
    }

    @Test(arguments: ["*", "*.", "a/b", "http://a"])
    func wrongHostsAreRefused(_ text: String) {
        #expect(throws: AddressPolicy.SettingError.self) { try AddressPolicy(hosts: text) }
    }
}

struct WebAddressTests {
    @Test(arguments: [
        "", "example.com", "//example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/",
        "http://", "http:///a", "http:/a", "http:a", "http://user@example.com/", "http://user:password@example.com/",
        "http://@example.com/",
        "http://:@example.com/", "http://a b/", "http://a\\@b/", "http://exa\u{301}mple.com/", "http://a/\r\nX: y",
        "http://[fe80::1%25eth0]/", "http://a:99999/", "http://a,b/", "http://a%00b/", "http://a%0d%0ab/", "smtp://a/",
        "unix:///run/redis.sock", "http+unix://%2Frun%2Fredis.sock/", "dict://a:6379/", "ldap://a/", "tftp://a/",
        "scp://a/", "ws://a/", "javascript:alert(1)", "data:,x", "http://１２７.0.0.1/", "http://ⓛocalhost/",
        "http://a#@127.0.0.1/\u{0}", "http://127.0.0.1\t/", "http://a@127.0.0.1/", "http://a:b@c@127.0.0.1/",
        "http://a%40127.0.0.1/", "http://127.0.0.1%2F@a/", "http://[::1", "http://[127.0.0.1]/", "http://[::1]a/",
    ])
    func othersAreRefused(_ text: String) {
        #expect(throws: WebAddress.Malformed.self) { try WebAddress(text) }
    }

    @Test func partsAreWhatWillBeConnectedTo() throws {
        let url = try WebAddress("HTTPS://Example.COM/a/../b?c=@d#e")
        #expect(url.host == "example.com" && url.port == 443 && url.isTLS)
        #expect(!url.text.contains("#"))
        let numeric = try WebAddress("http://0x7f.1:8080")
        #expect(numeric.host == "127.0.0.1" && numeric.port == 8080 && !numeric.isTLS)
        #expect(numeric.text.hasPrefix("http://127.0.0.1:8080"))
        #expect(try WebAddress("http://[::1]:90/").host == "::1")
    }
}
