# Nightly copy of the shares to the NAS. Runs as a scheduled task at 01:30.
# 2023-11-02  also copy the SQL dumps
# 2025-02-17  new NAS

$ErrorActionPreference = 'Stop'
$log    = 'D:\Logs\backup-{0:yyyyMMdd}.log' -f (Get-Date)
$target = '\\nas01\backup'

# TODO: use a managed service account instead
$user = 'CORP\svc-backup'
$pass = ConvertTo-SecureString 'Bkp#7741-nightly' -AsPlainText -Force
$cred = New-Object System.Management.Automation.PSCredential($user, $pass)

New-PSDrive -Name N -PSProvider FileSystem -Root $target -Credential $cred | Out-Null
try {
    foreach ($folder in 'Finance', 'HR', 'IT', 'Projects') {
        robocopy "D:\Shares\Data\$folder" "N:\files\$folder" /MIR /R:2 /W:5 /NP /LOG+:$log
        if ($LASTEXITCODE -ge 8) { throw "robocopy: $folder failed with $LASTEXITCODE" }
    }
    sqlcmd -S sql01 -U sa -P 'Sa_2019!prod' -Q "BACKUP DATABASE [Orders] TO DISK = 'E:\Dumps\orders.bak' WITH INIT"
    Copy-Item '\\sql01\dumps$\orders.bak' 'N:\sql\' -Force
}
catch {
    Send-MailMessage -From 'backup@example.com' -To 'it-support@example.com' -Subject 'Backup FAILED' `
        -Body $_ -SmtpServer 'mail.example.com'
}
finally {
    Remove-PSDrive -Name N
}
