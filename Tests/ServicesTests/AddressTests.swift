import Bytes
import Services
import Testing

struct IPAddressTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("::FFFF:c000:0201", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"), ("2001:db8:0:0:0:0:0:1", "2001:db8::1"), ("::", "::"), ("::1", "::1"),
        ("0.0.0.0", "0.0.0.0"), ("::192.0.2.1", "::192.0.2.1"),
    ])
    func readsAndWrites(_ text: String, _ written: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == written)
        #expect(IPAddress(written) == address)
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4:80", "[::1]", ":::",
        "fe80::1%eth0", "1:2:3:4:5:6:7:8:9", "localhost", "0x7f.1", "1.2.3.4\u{0}", "1.2.3.4\u{0}.evil", "::1\u{0}",
        "::ffff:192.0.2.1.1", "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111",
    ])
    func refuses(_ text: String) { #expect(IPAddress(text) == nil) }

    @Test func families() throws {
        #expect(IPAddress("::ffff:1.2.3.4")!.isV4)
        #expect(!IPAddress("::1.2.3.4")!.isV4)
        #expect(IPAddress("::1.2.3.4") != IPAddress("1.2.3.4"))
        for text in ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"] { #expect(IPAddress(text)!.isLoopback) }
        for text in ["128.0.0.1", "126.9.9.9", "::2", "::", "1::1", "::7f00:1"] {
            #expect(!IPAddress(text)!.isLoopback)
        }
    }

    @Test(arguments: [
        ("192.0.2.255", 24, "192.0.2.0"), ("192.0.2.255", 32, "192.0.2.255"), ("192.0.2.255", 0, "0.0.0.0"),
        ("192.0.2.255", 31, "192.0.2.254"), ("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", 65, "2001:db8:1:2:8000::"), ("2001:db8::1", 128, "2001:db8::1"),
        ("2001:db8::1", 127, "2001:db8::"), ("ffff::", 1, "8000::"), ("ffff::1", 0, "::"),
        ("2001:db8::", 63, "2001:db8::"),
    ])
    func prefixes(_ text: String, _ bits: Int, _ prefix: String) {
        #expect(IPAddress(text)!.prefix(bits).description == prefix)
    }

    @Test func aClientIsAnIPv4AddressOrAnIPv6Subnet() {
        #expect(IPAddress("192.0.2.1")!.clientText() == "192.0.2.1")
        #expect(IPAddress("::ffff:192.0.2.1")!.clientText() == "192.0.2.1")
        #expect(IPAddress("2001:db8:1:2:3::4")!.clientText() == "2001:db8:1:2::/64")
        #expect(IPAddress("2001:db8:1:2:9::9")!.clientText() == "2001:db8:1:2::/64")
        #expect(IPAddress("2001:db8:1:3::")!.clientText() == "2001:db8:1:3::/64")
        #expect(IPAddress("2001:db8:1:2:3::4")!.clientText(v6Bits: 128) == "2001:db8:1:2:3::4")
        #expect(IPAddress("2001:db8:1:2:3::4")!.clientText(v6Bits: 48) == "2001:db8:1::/48")
    }
}

struct AddressBlockTests {
    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.0", false), ("0.0.0.0/0", "8.8.8.8", true),
        ("0.0.0.0/0", "::1", false), ("::/0", "2001::", true), ("::/0", "1.2.3.4", false),
        ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false), ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("2001:db8::/33", "2001:db8:7fff::1", true), ("2001:db8::/33", "2001:db8:8000::1", false),
        ("::1", "::1", true), ("::1", "::2", false), ("2001:db8::4/126", "2001:db8::7", true),
        ("2001:db8::4/126", "2001:db8::8", false),
    ])
    func contains(_ block: String, _ address: String, _ isInside: Bool) {
        #expect(AddressBlock(block)!.contains(IPAddress(address)!) == isInside)
    }

    @Test(arguments: [
        "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.1/8", "::1/64",
        "::/129", "10.0.0.0/8 ", "10.0.0.0/٨", "10/8", "host/8", "::ffff:10.0.0.0/104",
    ])
    func refuses(_ text: String) { #expect(AddressBlock(text) == nil) }
}
