extension Setting {
    /// What the inventory is told; it, or what is told of its events, reads the values itself.
    static let stock: [Setting] = [
        Setting(
            name: "stock-escalate", value: "MS",
            help: "after this an alert that nobody has acknowledged is told again (default 3600000)",
            read: { (text, settings) throws(ConfigurationError) in
                settings.serviceSettings["stock-escalate"] = String(try integer(text, 1...2_592_000_000))
            }, show: { $0.serviceSettings["stock-escalate"] ?? "3600000" }),
        Setting(
            name: "stock-webhook", value: "URL",
            help: "what happens to stock is posted there, each event by an http job (default: nowhere)",
            read: { (text, settings) throws(ConfigurationError) in
                guard text.hasPrefix("https://") || text.hasPrefix("http://"), text.utf8.count <= 2000 else {
                    throw .init("must be an http or https URL")
                }
                settings.serviceSettings["stock-webhook"] = text
            }, show: { server(of: $0.serviceSettings["stock-webhook"] ?? "") }),
    ]

    /// A URL up to its host: what lies behind may be a secret.
    private static func server(of url: String) -> String {
        guard let start = url.firstRange(of: "://")?.upperBound else { return "" }
        let rest = url[start...].prefix { !"/?#".contains($0) }
        let host = rest.lastIndex(of: "@").map { rest[rest.index(after: $0)...] } ?? rest
        return String(url[..<start] + host)
    }
}
