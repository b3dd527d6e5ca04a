import Glibc

/// Whole files, for the command line.
enum Files {
    /// The bytes of the file at `path`, standard input for `-`.
    static func read(_ path: String) throws(ConfigurationError) -> [UInt8] {
        let descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ConfigurationError("cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { if descriptor != 0 { close(descriptor) } }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 { throw ConfigurationError("cannot read \(path): \(String(cString: strerror(errno)))") }
            if count == 0 { return bytes }
            bytes += chunk.prefix(count)
        }
    }
}

/// Text to the standard streams.
enum Output {
    /// A line to standard output, at once; whether it was taken.
    @discardableResult
    static func line(_ text: String) -> Bool { write(text, to: 1) }

    /// Bytes to standard output as they are; whether they were taken.
    @discardableResult
    static func bytes(_ bytes: [UInt8]) -> Bool { write(bytes, to: 1) }

    /// A line to standard error.
    static func note(_ text: String) { _ = write(text, to: 2) }

    /// The columns of the terminal that standard output is; nil when it is none.
    static var terminalWidth: Int? {
        var size = winsize()
        guard isatty(1) == 1, ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        write(Array((text + "\n").utf8), to: descriptor)
    }

    private static func write(_ whole: [UInt8], to descriptor: Int32) -> Bool {
        var bytes = whole[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count <= 0 { return false }
            bytes = bytes.dropFirst(count)
        }
        return true
    }
}
