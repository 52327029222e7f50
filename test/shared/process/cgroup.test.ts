import { expect } from 'chai';
import { readCgroupLimits, usableCpus } from '../../../src/shared/process/cgroup.ts';

const MIB = 1024 * 1024;
const V2_MOUNT = '36 30 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n';

type Files = Readonly<Record<string, string>>;

const limitsIn = (files: Files) => readCgroupLimits((path) => files[path]);

describe('readCgroupLimits', () => {
  it('reads cpu.max and memory.max in a container of version 2', () => {
    const files = {
      '/proc/self/cgroup': '0::/\n',
      '/proc/self/mountinfo': V2_MOUNT,
      '/sys/fs/cgroup/cpu.max': '150000 100000\n',
      '/sys/fs/cgroup/memory.max': `${512 * MIB}\n`,
    };
    expect(limitsIn(files)).to.deep.equal({ cpus: 1.5, memoryMaxBytes: 512 * MIB });
  });

  it('finds the lowest limit of the groups around a service of systemd', () => {
    const files = {
      '/proc/self/cgroup': '0::/system.slice/gusher.service\n',
      '/proc/self/mountinfo': V2_MOUNT,
      '/sys/fs/cgroup/system.slice/cpu.max': '200000 100000\n',
      '/sys/fs/cgroup/system.slice/memory.max': `${256 * MIB}\n`,
      '/sys/fs/cgroup/system.slice/gusher.service/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/system.slice/gusher.service/memory.max': 'max\n',
    };
    expect(limitsIn(files)).to.deep.equal({ cpus: 2, memoryMaxBytes: 256 * MIB });
  });

  it('reads the quota and the limit of version 1', () => {
    const files = {
      '/proc/self/cgroup': '4:cpu,cpuacct:/docker/ab\n3:memory:/docker/ab\n0::/\n',
      '/proc/self/mountinfo':
        '31 30 0:28 /docker/ab /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n' +
        '34 30 0:31 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '300000\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': `${128 * MIB}\n`,
    };
    expect(limitsIn(files)).to.deep.equal({ cpus: 3, memoryMaxBytes: 128 * MIB });
  });

  it('finds no limit where version 1 reports -1 and the largest number', () => {
    const files = {
      '/proc/self/cgroup': '2:memory:/\n1:cpu:/\n',
      '/proc/self/mountinfo':
        '31 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n' +
        '34 30 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    };
    expect(limitsIn(files)).to.deep.equal({});
  });

  it('finds no limit on other systems, and in files of another form', () => {
    expect(limitsIn({})).to.deep.equal({});
    const files = {
      '/proc/self/cgroup': '0::/\nnonsense\n',
      '/proc/self/mountinfo': `short\n${V2_MOUNT}`,
      '/sys/fs/cgroup/cpu.max': '0 0\n',
      '/sys/fs/cgroup/memory.max': '',
    };
    expect(limitsIn(files)).to.deep.equal({});
  });
});

describe('usableCpus', () => {
  it('equals the affinity mask without a quota, otherwise the quota rounded down', () => {
    expect(usableCpus(8, {})).to.equal(8);
    expect(usableCpus(8, { cpus: 2.5 })).to.equal(2);
    expect(usableCpus(2, { cpus: 6 })).to.equal(2);
  });

  it('is at least one', () => {
    expect(usableCpus(4, { cpus: 0.25 })).to.equal(1);
  });
});
