/// Where requests may go that somebody else has named: nobody is to reach our own network through us.
///
/// The host of the URL is judged first, and then, whatever its name led to, the very address that a socket is about to be
/// connected to. So a name that changes its address in between gains nothing, nor does another way to write an address.
public struct AddressPolicy: Sendable {
    private let exactHosts: Set<String>
    /// With the dot before them.
    private let hostEndings: [String]
    private let allowsInside: Bool
    private let allowedRanges: [NetworkRange]

    /// A setting that is wrong.
    public struct SettingError: Error, CustomStringConvertible {
        public let description: String
    }

    /// - Parameters:
    ///   - hosts: names separated by commas, `*.example.com` for all names below one; empty: every host.
    ///   - inside: which addresses are allowed beside the public ones: `true` for loopback and private ones, or blocks
    ///     separated by commas (`10.1.0.0/16,127.0.0.1`). Only a block opens link-local and other special addresses.
    public init(hosts: String = "", inside: String = "false") throws(SettingError) {
        var exact: Set<String> = []
        var endings: [String] = []
        for host in AddressPolicy.words(hosts) {
            let name = host.lowercased()
            let plain = name.hasPrefix("*.") ? String(name.dropFirst(2)) : name
            guard !plain.isEmpty, plain.utf8.allSatisfy({ WebAddress.isHostByte($0) }) else {
                throw SettingError(description: "must be names such as api.example.com or *.example.com, not \(host)")
            }
            if name.hasPrefix("*.") { endings.append("." + plain) } else { exact.insert(plain) }
        }
        exactHosts = exact
        hostEndings = endings
        switch inside {
        case "true", "false", "":
            allowsInside = inside == "true"
            allowedRanges = []
        default:
            allowsInside = false
            var ranges: [NetworkRange] = []
            for word in AddressPolicy.words(inside) {
                guard let range = NetworkRange(word) else {
                    throw SettingError(description: "must be true, false, or blocks such as 10.0.0.0/8, not \(word)")
                }
                ranges.append(range)
            }
            allowedRanges = ranges
        }
    }

    /// Ports at which no web server is and whose own protocols might make something of a request's lines: what browsers
    /// refuse (https://fetch.spec.whatwg.org/#port-blocking), and those of Redis, Sentinel and memcached.
    private static let otherPorts: Set<Int> = [
        1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
        110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530,
        531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190,
        5060, 5061, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211, 26379,
    ]

    /// Why a URL is refused, as far as it tells by itself; nil when it may be tried.
    public func refusal(of url: WebAddress) -> String? {
        if url.port == 0 || AddressPolicy.otherPorts.contains(url.port) {
            return "the port \(url.port) is another protocol's"
        }
        let host = url.host.hasSuffix(".") ? String(url.host.dropLast()) : url.host
        if !exactHosts.isEmpty || !hostEndings.isEmpty {
            guard exactHosts.contains(host) || hostEndings.contains(where: { host.hasSuffix($0) }) else {
                return "the host \(host) is not among those that are allowed"
            }
        }
        // By its standard (RFC 6761) it is loopback, whatever a name server says.
        let isLocal = host == "localhost" || host.hasSuffix(".localhost")
        guard let address = NetworkAddress(isLocal ? "127.0.0.1" : host) else { return nil }
        return allows(address) ? nil : "the address of \(host) is not a public one"
    }

    /// Whether a socket may be connected to an address.
    func allows(_ address: NetworkAddress) -> Bool {
        switch address.reach {
        case .open: true
        case .inside: allowsInside || allowedRanges.contains { $0.contains(address) }
        case .special: allowedRanges.contains { $0.contains(address) }
        }
    }

    private static func words(_ text: String) -> [String] {
        text.split(whereSeparator: { $0 == "," || $0 == " " }).map(String.init)
    }
}
