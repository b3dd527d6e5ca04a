import Glibc

/// An IPv4 or IPv6 address as its bytes, to be judged. An IPv6 address that only carries an IPv4 one is that one.
struct NetworkAddress: Equatable, CustomStringConvertible {
    /// Four or sixteen.
    let bytes: [UInt8]

    /// Parses a numeric address as the standards write it; nil for anything else.
    init?(_ text: String) {
        guard !text.utf8.contains(0) else { return nil }
        var storage = in6_addr()
        let isV4 = !text.contains(":")
        guard inet_pton(isV4 ? AF_INET : AF_INET6, text, &storage) == 1 else { return nil }
        self.init(bytes: withUnsafeBytes(of: &storage) { Array($0.prefix(isV4 ? 4 : 16)) })
    }

    /// The address of a socket; nil when it is of another family.
    init?(_ address: UnsafeRawPointer, family: Int32) {
        switch family {
        case AF_INET:
            let v4 = address.loadUnaligned(as: sockaddr_in.self)
            self.init(bytes: withUnsafeBytes(of: v4.sin_addr) { Array($0) })
        case AF_INET6:
            let v6 = address.loadUnaligned(as: sockaddr_in6.self)
            self.init(bytes: withUnsafeBytes(of: v6.sin6_addr) { Array($0) })
        default: return nil
        }
    }

    private init(bytes: [UInt8]) {
        for carrier in NetworkAddress.carriers where bytes.starts(with: carrier) && bytes.count == 16 {
            self.bytes = Array(bytes.suffix(4))
            return
        }
        self.bytes = bytes
    }

    /// The first 96 bits of IPv4-mapped addresses (::ffff:0:0/96) and of NAT64's (64:ff9b::/96).
    private static let carriers: [[UInt8]] = [
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], [0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0],
    ]

    var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: Judging

    enum Reach: Sendable {
        /// Anybody's, on the Internet.
        case open
        /// Our own machine or network, or nobody's: loopback, private, shared (CGNAT), for documentation and trials.
        case inside
        /// Never a service of anybody's: unspecified, link-local (and with it what clouds tell their machines there),
        /// multicast, reserved, forms that carry another address.
        case special
    }

    var reach: Reach {
        let known = bytes.count == 4 ? NetworkAddress.v4 : NetworkAddress.v6
        return known.first { $0.range.contains(self) }!.reach
    }

    private typealias Entry = (range: NetworkRange, reach: Reach)

    private static func entries(_ reach: Reach, _ ranges: String...) -> [Entry] {
        ranges.map { (NetworkRange($0)!, reach) }
    }

    // The first range that holds an address tells (the IANA registries of special-purpose addresses; RFC 6890).
    private static let v4: [Entry] =
        // Azure's and Alibaba's machine metadata are outside the link-local block.
        entries(.special, "168.63.129.16", "100.100.100.200")
        + entries(
            .special, "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4", "240.0.0.0/4")
        + entries(.inside, "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
        + entries(.inside, "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24")
        + entries(.open, "0.0.0.0/0")

    private static let v6: [Entry] =
        // Amazon's and Google's machine metadata are in the private block.
        entries(.special, "fd00:ec2::254", "fd20:ce::254")
        + entries(.inside, "::1", "fc00::/7", "2001:db8::/32", "3fff::/20")
        // Teredo and 6to4 lead to IPv4 addresses that cannot be seen to be anybody's.
        + entries(.special, "2001::/23", "2002::/16")
        + entries(.open, "2000::/3")
        + entries(.special, "::/0")
}

/// A block of addresses, `192.0.2.0/24`, or a single one.
struct NetworkRange: Sendable, Equatable {
    private let base: [UInt8]
    private let bits: Int

    /// nil for malformed text.
    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = NetworkAddress(String(parts[0])) else { return nil }
        base = address.bytes
        guard parts.count == 2 else {
            bits = base.count * 8
            return
        }
        guard let bits = Int(parts[1]), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            bits <= base.count * 8
        else { return nil }
        self.bits = bits
    }

    func contains(_ address: NetworkAddress) -> Bool {
        guard address.bytes.count == base.count else { return false }
        let whole = bits / 8
        guard address.bytes.prefix(whole) == base.prefix(whole) else { return false }
        let rest = bits % 8
        return rest == 0 || (address.bytes[whole] ^ base[whole]) >> UInt8(8 - rest) == 0
    }
}
