import Glibc

/// What a process had used of the machine at one moment, by Linux's /proc (proc(5)). CPU time comes in ticks of 10 ms.
struct ProcessSample: Equatable {
    /// User and system time of all its threads.
    let cpuUs: Int64
    let residentKiB: Int

    /// Nil when there is no such process.
    init?(pid: Int) {
        guard let stat = readFile("/proc/\(pid)/stat"), let status = readFile("/proc/\(pid)/status") else { return nil }
        self.init(stat: stat, status: status, ticksPerSecond: sysconf(Int32(_SC_CLK_TCK)))
    }

    init?(stat: String, status: String, ticksPerSecond: Int) {
        // The command's name stands in parentheses and may itself hold spaces and parentheses.
        guard let name = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: name)...].split(separator: " ")
        guard fields.count > 12, let user = Int64(fields[11]), let system = Int64(fields[12]) else { return nil }
        cpuUs = (user + system) * 1_000_000 / Int64(ticksPerSecond)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        let words = line?.split { $0 == " " || $0 == "\t" } ?? []
        residentKiB = words.count > 1 ? Int(words[1]) ?? 0 : 0
    }
}

/// A whole file as text; nil when it cannot be read.
func readFile(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = read(descriptor, &piece, piece.count)
        if count == 0 { return String(decoding: bytes, as: UTF8.self) }
        if count > 0 { bytes += piece[..<count] } else if errno != EINTR { return nil }
    }
}
